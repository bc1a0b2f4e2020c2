/* Runs a fuzz target over every file of the folders and files named on the command line, so that each build replays the
   committed corpus. A missing folder is an empty corpus. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

/* For targets with a mutator of their own, which nothing calls here. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size) {
  (void)data, (void)max_size;
  return size;
}

static size_t run_file(const char *path) {
  FILE *f = fopen(path, "rb");
  if (!f) return 0;
  fseek(f, 0, SEEK_END);
  long len = ftell(f);
  rewind(f);
  uint8_t *data = malloc(len > 0 ? (size_t)len : 1);
  if (!data || len < 0 || fread(data, 1, (size_t)len, f) != (size_t)len) {
    fprintf(stderr, "cannot read %s\n", path);
    exit(1);
  }
  fclose(f);
  LLVMFuzzerTestOneInput(data, (size_t)len);
  free(data);
  return 1;
}

int main(int argc, char **argv) {
  size_t cnt = 0;
  LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
  for (int i = 1; i < argc; i++) {
    struct stat st;
    if (stat(argv[i], &st) != 0) continue;
    if (!S_ISDIR(st.st_mode)) {
      cnt += run_file(argv[i]);
      continue;
    }
    DIR *dir = opendir(argv[i]);
    if (!dir) continue;
    for (struct dirent *e; (e = readdir(dir));) {
      char path[4096];
      if (e->d_name[0] == '.') continue;
      snprintf(path, sizeof path, "%s/%s", argv[i], e->d_name);
      cnt += run_file(path);
    }
    closedir(dir);
  }
  printf("%zu inputs replayed\n", cnt);
  return 0;
}
