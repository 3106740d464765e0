/* Calls functions of a library that is there (libm) and of one that is not, through `library.c`: arguments of every kind
 * arrive, the second call goes without a search, and what is missing says so. */
#include <stdio.h>
#include <string.h>

double fma(double, double, double);
int fakeCode(int);
const char *fakeErrorString(int);
/* More integers than there are registers, and numbers beside them: from the C library. */
int snprintf(char *, size_t, const char *, ...);

int main(void) {
    char text[128];
    for (int i = 0; i < 2; i++) {
        if (fma(2.0, 3.0, 0.5) != 6.5) return puts("numbers do not arrive"), 1;
        snprintf(text, sizeof text, "%d %d %d %d %d %d %.1f %.1f %.1f", 1, 2, 3, 4, 5, 6, 0.5, 1.5, 2.5);
        if (strcmp(text, "1 2 3 4 5 6 0.5 1.5 2.5")) return printf("arguments do not arrive: %s\n", text), 1;
        if (fakeCode(5) != 77) return puts("what is missing returns another code"), 1;
        if (strcmp(fakeErrorString(1), "libnowhere.so.1 was not found")) return puts("what is missing does not say so"), 1;
    }
    return 0;
}
