/* Child processes of the harness: internal to tests/harness. */
#ifndef SY_TESTS_HARNESS_PROCESS_H
#define SY_TESTS_HARNESS_PROCESS_H

#include <stdarg.h>
#include <stdbool.h>
#include <sys/types.h>

/* Prints and ends the program (code 99); atexit stops the servers and keeps their files. */
_Noreturn void sy_harness_die(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Starts a program as user postgres (if root), output to the end of `log`; it dies with this
 * process. */
pid_t sy_process_start(const char *log, const char *const *argv);
/* Runs one to its end; a failure ends the program. */
void sy_process_run(const char *log, const char *const *argv);
/* Sends a signal to a process and, first or last, to its children. */
void sy_process_signal_tree(pid_t pid, int signal);
/* mkdir, owned by postgres if root. */
void sy_make_dir(const char *path);
/* Gives a file to postgres if root. */
void sy_give_file(const char *path);
void sy_remove_tree(const char *path);
void sy_write_file(const char *path, const char *text, bool append);
/* Between two looks at something that will come; not to wait for it. */
void sy_pause_ms(long ms);
/* All of it to a socket; false: the other side is gone. */
bool sy_send_all(int fd, const char *data, size_t bytes);

#endif
