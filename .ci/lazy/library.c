/* A shared library that is opened when one of its functions is first called, not when the program starts.
 *
 * Compiled once for each library by `.ci/cuda`:
 *   SONAME   what is opened, such as "libcublas.so.13"
 *   MISSING  what functions return where it cannot be opened: an error code of the library's own
 *   functions.h, on the include path, has a line FUNCTION(number, name, is_text) for each of its functions; those that
 *   are text return a pointer to characters instead of a code.
 *
 * Each function here looks up its address in a table that begins as zeros. Where it finds one it jumps there, so that a
 * call costs a load and a jump. Where it finds none, `enter` keeps everything that an argument can travel in, asks `find`
 * for the address, restores it all and jumps. Nothing needs to know what arguments a function takes. */
#if !defined(__x86_64__) || !defined(__linux__)
#error "written for Linux on x86-64"
#endif

#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    int is_text;
} functions[] = {
#define FUNCTION(number, name, is_text) {#name, is_text},
#include "functions.h"
#undef FUNCTION
};

enum { COUNT = sizeof functions / sizeof *functions };

/* Used by the assembly below. */
__attribute__((used)) static void *addresses[COUNT];

static void *library;
static pthread_once_t opened = PTHREAD_ONCE_INIT;

/* As the system finds it; else in the folders that ATELIER_CUDA_LIBRARIES names, separated by colons. */
static void open_library(void) {
    library = dlopen(SONAME, RTLD_NOW | RTLD_GLOBAL);
    const char *folder = library ? NULL : getenv("ATELIER_CUDA_LIBRARIES");
    while (folder && *folder && !library) {
        size_t length = strcspn(folder, ":");
        char path[4096];
        int written = snprintf(path, sizeof path, "%.*s/%s", (int)length, folder, SONAME);
        if (written > 0 && (size_t)written < sizeof path) library = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
        folder += length + (folder[length] == ':');
    }
}

static long no_library(void) { return MISSING; }

static const char *no_text(void) { return SONAME " was not found"; }

__attribute__((used)) static void *find(unsigned number) {
    pthread_once(&opened, open_library);
    void *address = library ? dlsym(library, functions[number].name) : NULL;
    if (!address) return functions[number].is_text ? (void *)no_text : (void *)no_library;
    __atomic_store_n(&addresses[number], address, __ATOMIC_RELEASE);
    return address;
}

/* Integer arguments travel in six registers, the number of vector registers in use in al, a nested function's frame in
 * r10, numbers in eight vector registers. The stack is 8 off a multiple of 16 on entry, 0 off after rbp is pushed. */
__asm__(".text\n"
        "enter:\n"
        "  endbr64\n"
        "  pushq %rbp\n  movq %rsp, %rbp\n  subq $192, %rsp\n"
        "  movq %rdi, 0(%rsp)\n  movq %rsi, 8(%rsp)\n  movq %rdx, 16(%rsp)\n  movq %rcx, 24(%rsp)\n"
        "  movq %r8, 32(%rsp)\n  movq %r9, 40(%rsp)\n  movq %rax, 48(%rsp)\n  movq %r10, 56(%rsp)\n"
        "  movups %xmm0, 64(%rsp)\n  movups %xmm1, 80(%rsp)\n  movups %xmm2, 96(%rsp)\n  movups %xmm3, 112(%rsp)\n"
        "  movups %xmm4, 128(%rsp)\n  movups %xmm5, 144(%rsp)\n  movups %xmm6, 160(%rsp)\n  movups %xmm7, 176(%rsp)\n"
        "  movl %r11d, %edi\n  call find\n  movq %rax, %r11\n"
        "  movq 0(%rsp), %rdi\n  movq 8(%rsp), %rsi\n  movq 16(%rsp), %rdx\n  movq 24(%rsp), %rcx\n"
        "  movq 32(%rsp), %r8\n  movq 40(%rsp), %r9\n  movq 48(%rsp), %rax\n  movq 56(%rsp), %r10\n"
        "  movups 64(%rsp), %xmm0\n  movups 80(%rsp), %xmm1\n  movups 96(%rsp), %xmm2\n  movups 112(%rsp), %xmm3\n"
        "  movups 128(%rsp), %xmm4\n  movups 144(%rsp), %xmm5\n  movups 160(%rsp), %xmm6\n  movups 176(%rsp), %xmm7\n"
        "  leave\n  jmp *%r11\n");

#define FUNCTION(number, name, is_text)                        \
    __asm__(".globl " #name "\n.type " #name ", @function\n"   \
            ".p2align 4\n" #name ":\n  endbr64\n"              \
            "  movq addresses+8*" #number "(%rip), %r11\n"     \
            "  testq %r11, %r11\n  je 1f\n  jmp *%r11\n"       \
            "1: movl $" #number ", %r11d\n  jmp enter\n");
#include "functions.h"
