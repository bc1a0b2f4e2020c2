/* adapter/trim.h - memory that only the start needed. */
#ifndef AQ_ADAPTER_TRIM_H
#define AQ_ADAPTER_TRIM_H

/* Gives back the pages of program and library code that were touched so far, and free heap. What is used again comes
   back from the page cache, page by page. Once, when the start is over. */
void aq_trim(void);

#endif
