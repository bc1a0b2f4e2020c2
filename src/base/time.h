/* base/time.h - units of time. All times are unsigned nanoseconds; names end in _ns. Wall-clock times count from the
   Unix epoch. No function here asks for the time: that is a port (port/env.h). */
#ifndef AQ_BASE_TIME_H
#define AQ_BASE_TIME_H

#include <stdint.h>

#define AQ_NS_PER_US UINT64_C(1000)
#define AQ_NS_PER_MS UINT64_C(1000000)
#define AQ_NS_PER_SEC UINT64_C(1000000000)
#define AQ_MILLIS(n) ((uint64_t)(n)*AQ_NS_PER_MS)
#define AQ_SECONDS(n) ((uint64_t)(n)*AQ_NS_PER_SEC)
#define AQ_NEVER UINT64_MAX

#endif
