/* How far the transfer came tells more than libcurl's code, and OpenSSL's text what the handshake broke on. */
#include "adapter/curl_fault.h"

#include <errno.h>
#include <openssl/x509_vfy.h>

#include "base/url.h"

static bool is_tls(CURL *easy) {
  const char *url = NULL;
  return curl_easy_getinfo(easy, CURLINFO_EFFECTIVE_URL, &url) == CURLE_OK && url && aq_url_is_tls(url);
}

static bool reached(CURL *easy, CURLINFO when) {
  curl_off_t us = 0;
  return curl_easy_getinfo(easy, when, &us) == CURLE_OK && us > 0;
}

static aq_http_fault timed_out(CURL *easy) {
  if (!reached(easy, CURLINFO_CONNECT_TIME_T)) return AQ_HTTP_FAULT_NO_CONNECTION;
  return is_tls(easy) && !reached(easy, CURLINFO_APPCONNECT_TIME_T) ? AQ_HTTP_FAULT_TLS : AQ_HTTP_FAULT_SLOW;
}

static aq_http_fault not_connected(CURL *easy) {
  long why = 0;
  curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &why);
  if (why == ECONNREFUSED) return AQ_HTTP_FAULT_REFUSED;
  return why == ETIMEDOUT ? AQ_HTTP_FAULT_NO_CONNECTION : AQ_HTTP_FAULT_UNREACHABLE;
}

/* libcurl compares the name itself, before it asks OpenSSL for more than "not yet". */
static aq_http_fault unverified(CURL *easy) {
  long why = 0;
  curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &why);
  switch (why) {
    case X509_V_OK:
    case X509_V_ERR_UNSPECIFIED:
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH: return AQ_HTTP_FAULT_OTHER_NAME;
    case X509_V_ERR_CERT_HAS_EXPIRED: return AQ_HTTP_FAULT_EXPIRED;
    case X509_V_ERR_CERT_NOT_YET_VALID: return AQ_HTTP_FAULT_NOT_YET;
    default: return AQ_HTTP_FAULT_UNTRUSTED;
  }
}

/* The first byte of a server that does not speak TLS stands where a record's version should. */
static aq_http_fault no_handshake(const char *text) {
  bool plain = strstr(text, "wrong version number") || strstr(text, "packet length too long") ||
               strstr(text, "record layer failure");
  return plain ? AQ_HTTP_FAULT_PLAIN : AQ_HTTP_FAULT_TLS;
}

/* Amid the handshake a connection ends as any other does. */
static aq_http_fault ended(CURL *easy, CURLcode code) {
  long head = 0;
  curl_easy_getinfo(easy, CURLINFO_HEADER_SIZE, &head);
  bool tls = is_tls(easy) && !reached(easy, CURLINFO_APPCONNECT_TIME_T);
  bool silent = code == CURLE_GOT_NOTHING || head == 0;
  return tls ? AQ_HTTP_FAULT_TLS : silent ? AQ_HTTP_FAULT_SILENT : AQ_HTTP_FAULT_BROKEN;
}

static aq_http_fault fault_of(CURL *easy, CURLcode code, const char *text) {
  switch ((int)code) {
    case CURLE_COULDNT_RESOLVE_HOST: return AQ_HTTP_FAULT_NAME;
    case CURLE_COULDNT_CONNECT: return not_connected(easy);
    case CURLE_OPERATION_TIMEDOUT: return timed_out(easy);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR: return unverified(easy);
    case CURLE_SSL_CONNECT_ERROR: return no_handshake(text);
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR: return ended(easy, code);
    case CURLE_UNSUPPORTED_PROTOCOL: /* bytes that would be HTTP/0.9 */
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_WRITE_ERROR: return AQ_HTTP_FAULT_NOT_HTTP; /* a head that we did not take */
    case CURLE_FILESIZE_EXCEEDED: return AQ_HTTP_FAULT_TOO_LONG;
    case CURLE_FAILED_INIT: return AQ_HTTP_FAULT_OTHER;
    default: return AQ_HTTP_FAULT_BROKEN;
  }
}

void aq_curl_why(char out[AQ_HTTP_WHY_MAX], CURL *easy, CURLcode code, const char *text) {
  char site[AQ_URL_SITE_MAX + 1] = "";
  const char *url = NULL;
  if (curl_easy_getinfo(easy, CURLINFO_EFFECTIVE_URL, &url) == CURLE_OK && url) aq_url_site(site, url);
  aq_http_fault_text(out, site, fault_of(easy, code, text));
}
