/* Holds the namespaces of a pod: reaps its orphans and sleeps until it is told to end. */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void end(int signal) {
    (void)signal;
    _exit(0);
}

static void reap(int signal) {
    (void)signal;
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
}

int main(void) {
    struct sigaction reaping = {.sa_handler = reap, .sa_flags = SA_NOCLDSTOP};
    signal(SIGTERM, end);
    signal(SIGINT, end);
    sigaction(SIGCHLD, &reaping, NULL);
    for (;;) {
        pause();
    }
}
