# What every target shares: language, warnings, hardening, found libraries, and two small functions.

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

option(SY_BUILD_TESTS "Build the tests" ON)
option(SY_WERROR "Warnings are errors (set by the presets)" OFF)
set(SY_SANITIZE "" CACHE STRING "Sanitizers, e.g. address,undefined or thread")
option(SY_FUZZ "Build the libFuzzer targets (needs clang)" OFF)
option(SY_COVERAGE "Instrument for line and branch coverage" OFF)

find_program(CCACHE ccache)
if(CCACHE)
    set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
endif()

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(URING REQUIRED IMPORTED_TARGET liburing)
pkg_check_modules(OPENSSL REQUIRED IMPORTED_TARGET libssl libcrypto)
pkg_check_modules(LIBPQ REQUIRED IMPORTED_TARGET libpq)
pkg_check_modules(LIBCONFIG REQUIRED IMPORTED_TARGET libconfig)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(MICROHTTPD REQUIRED IMPORTED_TARGET libmicrohttpd)
pkg_check_modules(CJSON REQUIRED IMPORTED_TARGET libcjson)
pkg_check_modules(ICU REQUIRED IMPORTED_TARGET icu-i18n icu-uc)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(GMP REQUIRED IMPORTED_TARGET gmp)
pkg_check_modules(SECCOMP IMPORTED_TARGET libseccomp)   # without it the process has no system call filter

# libpg_query ships no pkg-config file. Its raw tree needs the server headers of PostgreSQL 15, which
# packaging/install-deps unpacks (not installs: that pulls in LLVM) into SY_PG_HEADERS.
find_library(PG_QUERY_LIBRARY pg_query REQUIRED)
find_path(PG_QUERY_INCLUDE pg_query.h REQUIRED)
pkg_check_modules(PROTOBUFC REQUIRED IMPORTED_TARGET libprotobuf-c)
set(SY_PG_HEADERS "${CMAKE_SOURCE_DIR}/build/pg-headers/usr/include/postgresql/15/server" CACHE PATH
    "PostgreSQL 15 server headers (postgres.h)")
if(NOT EXISTS ${SY_PG_HEADERS}/postgres.h)
    message(FATAL_ERROR "No PostgreSQL server headers in ${SY_PG_HEADERS}. Run packaging/install-deps first; "
        "it unpacks them from the package postgresql-server-dev-15 without installing it.")
endif()

add_library(sy_flags INTERFACE)
target_compile_options(sy_flags INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wcast-qual
    -Wundef -Wvla -Wformat=2 -Wswitch-enum -fno-common -fstack-protector-strong)
target_compile_definitions(sy_flags INTERFACE _GNU_SOURCE)
target_include_directories(sy_flags INTERFACE ${CMAKE_SOURCE_DIR})
# Places in messages are relative to the source tree, whoever built it.
target_compile_options(sy_flags INTERFACE -ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)
target_link_options(sy_flags INTERFACE -Wl,-z,relro,-z,now)
# Some eighty test programs link most of the tree: gold does that in a third of the time (binutils ships it).
find_program(GOLD ld.gold)
if(GOLD AND NOT SY_FUZZ)
    target_link_options(sy_flags INTERFACE -fuse-ld=gold)
endif()
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    target_compile_options(sy_flags INTERFACE -Wduplicated-cond -Wlogical-op)
endif()
if(SY_WERROR)
    target_compile_options(sy_flags INTERFACE -Werror)
endif()
if(SY_SANITIZE)
    target_compile_options(sy_flags INTERFACE -fsanitize=${SY_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(sy_flags INTERFACE -fsanitize=${SY_SANITIZE})
elseif(CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
    target_compile_options(sy_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
endif()
if(SY_FUZZ)
    target_compile_options(sy_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(SY_COVERAGE)
    target_compile_options(sy_flags INTERFACE --coverage)
    target_link_options(sy_flags INTERFACE --coverage)
endif()

# sy_library(NAME dep...): a static library of the *.c of the current folder (not of its subfolders).
function(sy_library name)
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.c)
    if(sources)
        add_library(${name} STATIC ${sources})
        target_link_libraries(${name} PUBLIC sy_flags ${ARGN})
    else()
        add_library(${name} INTERFACE)
        target_link_libraries(${name} INTERFACE sy_flags ${ARGN})
    endif()
endfunction()
