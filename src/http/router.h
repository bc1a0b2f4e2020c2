/* http/router.h - one table of routes a surface: rows of method and path with what the surface keeps beside them.
   Pure. */
#ifndef AQ_HTTP_ROUTER_H
#define AQ_HTTP_ROUTER_H

#include "http/http.h"

/* The first member of a surface's rows. */
typedef struct {
  const char *method; /* NULL: every one that asks for an answer, so not TRACE and CONNECT */
  const char *path;   /* template: {} matches one segment */
} aq_route;

/* A surface's rows, in the order in which they are asked. */
typedef struct {
  const void *rows; /* each begins with an aq_route */
  size_t cnt, size; /* size of one */
} aq_routes;
#define AQ_ROUTES(table) ((aq_routes){.rows = (table), .cnt = sizeof(table) / sizeof *(table), .size = sizeof *(table)})

/* The first row that takes the request; HEAD is GET without the body, which the server leaves out. NULL: none. param as
   aq_http_match fills it, may be NULL. */
const void *aq_route_find(aq_routes r, const char *method, const char *path, char (*param)[AQ_HTTP_PARAM_MAX + 1]);
/* The methods of all rows of the path, as the value of an Allow header; "" when there is none. */
void aq_route_allowed(aq_routes r, const char *path, char *out, size_t out_len);

/* {"code":404,"message":"..."}: an error of the beacon API. */
void aq_http_error_json(aq_buf *out, int code, const char *message);

#endif
