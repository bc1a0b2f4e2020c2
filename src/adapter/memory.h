/* adapter/memory.h - gives back memory that only the start needed: freed heap, and code pages of libraries that ran once
   (they come back from the page cache when they are called). Call it once the node is ready. Linux only. */
#ifndef AQ_ADAPTER_MEMORY_H
#define AQ_ADAPTER_MEMORY_H

void aq_memory_trim(void);

#endif
