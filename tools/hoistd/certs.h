/* certs.h - hoistd certs: a certificate authority for a fleet that has none, and bundles. */
#ifndef HOISTD_CERTS_H
#define HOISTD_CERTS_H

extern const char certs_what[]; /* one line */

/* Without the program's and the command's name. Gives the exit code. */
int certs_main(int argc, char **argv);

#endif
