/*
 * SQLite functions that translated catalog queries call and that the runtime registers, under these
 * names, with any number of arguments (PostgreSQL's own signatures; oid, name and text arrive as
 * INTEGER and TEXT).
 */
#ifndef SY_ROUTER_ENGINE_SQLITE_TRANSLATE_CATALOG_H
#define SY_ROUTER_ENGINE_SQLITE_TRANSLATE_CATALOG_H

#define SY_SQCATALOG_FUNCTIONS(X)                                                                  \
    X(sy_acldefault)                                                                               \
    X(sy_col_description)                                                                          \
    X(sy_format_type)                                                                              \
    X(sy_getdatabaseencoding)                                                                      \
    X(sy_has_any_column_privilege)                                                                 \
    X(sy_has_column_privilege)                                                                     \
    X(sy_has_database_privilege)                                                                   \
    X(sy_has_foreign_data_wrapper_privilege)                                                       \
    X(sy_has_function_privilege)                                                                   \
    X(sy_has_language_privilege)                                                                   \
    X(sy_has_schema_privilege)                                                                     \
    X(sy_has_sequence_privilege)                                                                   \
    X(sy_has_server_privilege)                                                                     \
    X(sy_has_table_privilege)                                                                      \
    X(sy_has_tablespace_privilege)                                                                 \
    X(sy_has_type_privilege)                                                                       \
    X(sy_inet_client_port)                                                                         \
    X(sy_inet_server_port)                                                                         \
    X(sy_obj_description)                                                                          \
    X(sy_pg_advisory_lock)                                                                         \
    X(sy_pg_advisory_lock_shared)                                                                  \
    X(sy_pg_advisory_unlock)                                                                       \
    X(sy_pg_advisory_unlock_all)                                                                   \
    X(sy_pg_advisory_unlock_shared)                                                                \
    X(sy_pg_advisory_xact_lock)                                                                    \
    X(sy_pg_advisory_xact_lock_shared)                                                             \
    X(sy_pg_blocking_pids)                                                                         \
    X(sy_pg_cancel_backend)                                                                        \
    X(sy_pg_char_to_encoding)                                                                      \
    X(sy_pg_client_encoding)                                                                       \
    X(sy_pg_collation_actual_version)                                                              \
    X(sy_pg_collation_for)                                                                         \
    X(sy_pg_collation_is_visible)                                                                  \
    X(sy_pg_column_compression)                                                                    \
    X(sy_pg_column_is_updatable)                                                                   \
    X(sy_pg_column_size)                                                                           \
    X(sy_pg_conf_load_time)                                                                        \
    X(sy_pg_database_collation_actual_version)                                                     \
    X(sy_pg_database_size)                                                                         \
    X(sy_pg_describe_object)                                                                       \
    X(sy_pg_encoding_to_char)                                                                      \
    X(sy_pg_function_is_visible)                                                                   \
    X(sy_pg_get_constraintdef)                                                                     \
    X(sy_pg_get_expr)                                                                              \
    X(sy_pg_get_function_arguments)                                                                \
    X(sy_pg_get_function_identity_arguments)                                                       \
    X(sy_pg_get_function_result)                                                                   \
    X(sy_pg_get_functiondef)                                                                       \
    X(sy_pg_get_indexdef)                                                                          \
    X(sy_pg_get_partition_constraintdef)                                                           \
    X(sy_pg_get_partkeydef)                                                                        \
    X(sy_pg_get_replica_identity_index)                                                            \
    X(sy_pg_get_ruledef)                                                                           \
    X(sy_pg_get_serial_sequence)                                                                   \
    X(sy_pg_get_statisticsobjdef_columns)                                                          \
    X(sy_pg_get_triggerdef)                                                                        \
    X(sy_pg_get_userbyid)                                                                          \
    X(sy_pg_get_viewdef)                                                                           \
    X(sy_pg_has_role)                                                                              \
    X(sy_pg_index_column_has_property)                                                             \
    X(sy_pg_index_has_property)                                                                    \
    X(sy_pg_indexam_has_property)                                                                  \
    X(sy_pg_indexes_size)                                                                          \
    X(sy_pg_is_in_recovery)                                                                        \
    X(sy_pg_is_other_temp_schema)                                                                  \
    X(sy_pg_is_wal_replay_paused)                                                                  \
    X(sy_pg_my_temp_schema)                                                                        \
    X(sy_pg_postmaster_start_time)                                                                 \
    X(sy_pg_relation_filenode)                                                                     \
    X(sy_pg_relation_is_publishable)                                                               \
    X(sy_pg_relation_is_updatable)                                                                 \
    X(sy_pg_relation_size)                                                                         \
    X(sy_pg_reload_conf)                                                                           \
    X(sy_pg_sequence_last_value)                                                                   \
    X(sy_pg_size_bytes)                                                                            \
    X(sy_pg_size_pretty)                                                                           \
    X(sy_pg_statistics_obj_is_visible)                                                             \
    X(sy_pg_table_is_visible)                                                                      \
    X(sy_pg_table_size)                                                                            \
    X(sy_pg_terminate_backend)                                                                     \
    X(sy_pg_total_relation_size)                                                                   \
    X(sy_pg_trigger_depth)                                                                         \
    X(sy_pg_try_advisory_lock)                                                                     \
    X(sy_pg_try_advisory_lock_shared)                                                              \
    X(sy_pg_try_advisory_xact_lock)                                                                \
    X(sy_pg_try_advisory_xact_lock_shared)                                                         \
    X(sy_pg_type_is_visible)                                                                       \
    X(sy_row_security_active)                                                                      \
    X(sy_shobj_description)                                                                        \
    X(sy_to_regclass)                                                                              \
    X(sy_to_regnamespace)                                                                          \
    X(sy_to_regproc)                                                                               \
    X(sy_to_regrole)                                                                               \
    X(sy_to_regtype)                                                                               \
    X(sy_txid_current)                                                                             \
    X(sy_txid_current_if_assigned)

#endif
