/* Days of the civil calendar by arithmetic: the C library's functions know no nanoseconds and one zone. */
#include "cluster/rfc3339.h"

#include <stdio.h>

#include "base/time.h"

enum { SECONDS_A_DAY = 86400, YEAR_MAX = 2261 };

/* Days from 1970-01-01, proleptic Gregorian; years start in March here, so that the leap day ends them. */
static int64_t days_from_civil(int64_t y, int64_t m, int64_t d) {
  y -= m <= 2;
  int64_t era = y / 400, yoe = y % 400;
  int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
  return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static void civil_from_days(int64_t days, int *y, int *m, int *d) {
  days += 719468;
  int64_t era = days / 146097, doe = days % 146097;
  int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
  *d = (int)(doy - (153 * mp + 2) / 5 + 1);
  *m = (int)(mp < 10 ? mp + 3 : mp - 9);
  *y = (int)(yoe + era * 400 + (*m <= 2));
}

/* `digits` digits and then `end`, unless that is 0. */
static int64_t take_number(aq_rd *r, int digits, uint8_t end) {
  int64_t v = 0;
  for (int i = 0; i < digits; i++) {
    uint8_t c = aq_rd_u8(r);
    if (c < '0' || c > '9') r->failed = true;
    v = v * 10 + c - '0';
  }
  if (end && aq_rd_u8(r) != end) r->failed = true;
  return r->failed ? 0 : v;
}

static uint64_t take_fraction(aq_rd *r) {
  uint64_t ns = 0, scale = 100000000;
  if (r->left == 0 || r->ptr[0] != '.') return 0;
  (void)aq_rd_u8(r);
  int digits = 0;
  for (; r->left && r->ptr[0] >= '0' && r->ptr[0] <= '9'; digits++, scale /= 10)
    ns += (uint64_t)(aq_rd_u8(r) - '0') * scale;
  if (digits == 0 || digits > 9) r->failed = true;
  return ns;
}

static int64_t take_offset(aq_rd *r) {
  uint8_t sign = aq_rd_u8(r);
  if (sign == 'Z') return 0;
  int64_t hours = take_number(r, 2, ':'), minutes = take_number(r, 2, 0);
  if ((sign != '+' && sign != '-') || hours > 23 || minutes > 59) r->failed = true;
  return (sign == '-' ? -60 : 60) * (hours * 60 + minutes);
}

aq_status aq_rfc3339_parse(uint64_t *out_ns, aq_bytes text) {
  static const int month_days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  aq_rd r = aq_rd_of(text);
  int64_t y = take_number(&r, 4, '-'), m = take_number(&r, 2, '-'), d = take_number(&r, 2, 'T');
  int64_t hour = take_number(&r, 2, ':'), minute = take_number(&r, 2, ':'), sec = take_number(&r, 2, 0);
  uint64_t fraction = take_fraction(&r);
  int64_t offset = take_offset(&r);
  if (!aq_rd_done(&r) || y < 1970 || y > YEAR_MAX || m < 1 || m > 12 || d < 1 || d > month_days[m - 1])
    return AQ_E_FORMAT;
  if (hour > 23 || minute > 59 || sec > 59) return AQ_E_FORMAT;
  int64_t unix_s = days_from_civil(y, m, d) * SECONDS_A_DAY + hour * 3600 + minute * 60 + sec - offset;
  if (unix_s < 0) return AQ_E_FORMAT;
  *out_ns = (uint64_t)unix_s * AQ_NS_PER_SEC + fraction;
  return AQ_OK;
}

void aq_rfc3339_print(char out[AQ_RFC3339_MAX], uint64_t ns, bool seconds) {
  uint64_t s = ns / AQ_NS_PER_SEC, day_s = s % SECONDS_A_DAY;
  char fraction[12] = "";
  int y, m, d;
  civil_from_days((int64_t)(s / SECONDS_A_DAY), &y, &m, &d);
  if (!seconds && ns % AQ_NS_PER_SEC) {
    snprintf(fraction, sizeof fraction, ".%09u", (unsigned)(ns % AQ_NS_PER_SEC));
    for (size_t len = strlen(fraction); fraction[len - 1] == '0'; len--) fraction[len - 1] = 0;
  }
  snprintf(out, AQ_RFC3339_MAX, "%04d-%02d-%02dT%02u:%02u:%02u%sZ", y, m, d, (unsigned)(day_s / 3600),
           (unsigned)(day_s / 60 % 60), (unsigned)(day_s % 60), fraction);
}
