/* base/version.h - revision and commit time, given by the build as -DAQ_GIT_HASH. A build that was not told says
   unknown. AQ_VERSION comes from the file VERSION. */
#ifndef AQ_BASE_VERSION_H
#define AQ_BASE_VERSION_H

#ifndef AQ_GIT_HASH
#define AQ_GIT_HASH "unknown"
#endif
#ifndef AQ_GIT_TIME
#define AQ_GIT_TIME "unknown"
#endif

#endif
