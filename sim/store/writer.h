/* sim/store/writer.h - `aequa-sim-store writer PATH ACKED SENT`: a process to be killed (test/e2e/kill9.py). It opens
   the real store on the real disk, checks that records 1..ACKED are there and none above SENT, that contradictions of
   them are refused and repetitions are not, prints "checked N" (the highest record found), then records N+1 and on,
   and prints "sent N" before and "ok N" after each until it is killed. */
#ifndef AQ_SIM_STORE_WRITER_H
#define AQ_SIM_STORE_WRITER_H

int store_writer_main(int argc, char **argv);

#endif
