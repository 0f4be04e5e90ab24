/*
 * Which sanitizer the program is built with: SY_ADDRESS_SANITIZER and SY_THREAD_SANITIZER are 0 or
 * 1. gcc defines a macro for each, clang has them as features.
 */
#ifndef SY_BASE_SANITIZER_H
#define SY_BASE_SANITIZER_H

#if defined(__has_feature)
#define SY_HAS_FEATURE(name) __has_feature(name)
#else
#define SY_HAS_FEATURE(name) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || SY_HAS_FEATURE(address_sanitizer)
#define SY_ADDRESS_SANITIZER 1
#else
#define SY_ADDRESS_SANITIZER 0
#endif

#if defined(__SANITIZE_THREAD__) || SY_HAS_FEATURE(thread_sanitizer)
#define SY_THREAD_SANITIZER 1
#else
#define SY_THREAD_SANITIZER 0
#endif

#endif
