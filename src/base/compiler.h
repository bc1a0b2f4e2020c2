/* base/compiler.h - GNU extensions behind names, so that no other file spells an attribute. */
#ifndef AQ_BASE_COMPILER_H
#define AQ_BASE_COMPILER_H

#define AQ_NODISCARD __attribute__((warn_unused_result))
#define AQ_NORETURN _Noreturn
#define AQ_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define AQ_UNUSED __attribute__((unused))
#define AQ_NOINLINE __attribute__((noinline))
/* The compiler must take the memory behind ptr as read and written here. No instruction. */
#define AQ_BARRIER(ptr) __asm__ volatile("" : : "r"(ptr) : "memory")
#define AQ_EXTENSION __extension__ /* before a type that pedantic C11 does not know */
#define AQ_LIKELY(x) __builtin_expect(!!(x), 1)
#define AQ_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define AQ_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* 1 in builds with a sanitizer that changes the process: its memory, its end. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define AQ_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define AQ_SANITIZED 1
#endif
#endif
#ifndef AQ_SANITIZED
#define AQ_SANITIZED 0
#endif

/* The struct of `type` whose member `field` lies at `ptr`. */
#define AQ_CONTAINER(ptr, type, field) ((type *)(void *)((char *)(ptr)-offsetof(type, field)))

#endif
