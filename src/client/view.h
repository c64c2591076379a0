/* view.h - views, as hoist_close() needs to know them. */
#ifndef CLIENT_VIEW_H
#define CLIENT_VIEW_H

#include "client/client_int.h"

/* End all views of `h`. */
void views_end(hoist *h);

/* In a child: the parent's views hold no places here. Whoever has them may still read through them,
 * which answers fallbacks, and end them. */
void views_forget(hoist *h);

#endif
