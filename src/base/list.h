/* base/list.h - intrusive doubly linked ring. The head is a node of its own; an element lies in one list at a time. */
#ifndef AQ_BASE_LIST_H
#define AQ_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"

typedef struct aq_list {
  struct aq_list *prev, *next;
} aq_list;

static inline void aq_list_init(aq_list *l) { l->prev = l->next = l; }
static inline bool aq_list_empty(const aq_list *l) { return l->next == l; }
static inline void aq_list_push(aq_list *head, aq_list *node) { /* at the end */
  node->prev = head->prev, node->next = head;
  head->prev->next = node, head->prev = node;
}
static inline void aq_list_remove(aq_list *node) { /* harmless twice */
  node->prev->next = node->next, node->next->prev = node->prev;
  node->prev = node->next = node;
}
/* Takes the first element out; NULL when there is none. Loops that free elements use it: the rest may change
   meanwhile. */
static inline aq_list *aq_list_pop(aq_list *head) {
  aq_list *node = head->next;
  if (node == head) return NULL;
  head->next = node->next, node->next->prev = head;
  return node->prev = node->next = node;
}

/* `it` may be removed from the list and freed inside the body. */
#define AQ_LIST_EACH(head, it, type, field)                                                                        \
  for (type *it = AQ_CONTAINER((head)->next, type, field), *it##_next = AQ_CONTAINER(it->field.next, type, field); \
       &it->field != (head); it = it##_next, it##_next = AQ_CONTAINER(it->field.next, type, field))

#endif
