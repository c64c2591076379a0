/* change_int.h - what change_decode.c, change_encode.c and edits.c share. */
#ifndef WIRE_CHANGE_INT_H
#define WIRE_CHANGE_INT_H

#include "wire/change.h"

enum { CHANGE_FIELDS_0 = 16, CHANGE_FIELDS_1 = 17, CHANGE_FIELDS = 19 }; /* of each minor */

/* The first element of an edit. Numbers are on disk: add at the end, with a new CHANGE_MAJOR. */
enum edit_op { EDIT_PUT = 1, EDIT_DELETE = 2 };

#endif
