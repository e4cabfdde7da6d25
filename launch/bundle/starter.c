/* bin/lockstep, bin/mpirun and the other names in the bundle's bin: one static program, which starts libexec/NAME under a C library
   that is new enough. The newer of the host's and the bundle's is taken: a newer one runs what was built for an older one, also the
   driver and the site's MPI, but not the other way round.

   LD_LIBRARY_PATH is read and never changed, so host programs that are started from here keep their own C library. Paths for
   our programs alone are given to the loader instead. LOCKSTEP_LIBC = "host" or "bundle" overrides the choice. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOST_LOADER "/lib64/ld-linux-x86-64.so.2"

static void fail(const char* name, const char* what, const char* path, const char* why) {
  fprintf(stderr, "%s: bundle: %s \"%s\": %s\n", name, what, path, why);
  exit(70);
}

/* 36 for a loader of glibc 2.36. 0 where it does not say (glibc before 2.33, other C libraries) or is not there. */
static int glibc_of(const char* loader) {
  static const char mark[] = "release version 2.";
  struct stat facts;
  int version = 0, file = open(loader, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  if (fstat(file, &facts) == 0 && facts.st_size > 0) {
    const size_t size = (size_t)facts.st_size;
    const char* text = mmap(NULL, size, PROT_READ, MAP_PRIVATE, file, 0);
    if (text != MAP_FAILED) {
      const char* at = memmem(text, size, mark, sizeof mark - 1);
      for (at = at ? at + sizeof mark - 1 : NULL; at && at < text + size && *at >= '0' && *at <= '9'; ++at) version = 10 * version + (*at - '0');
      munmap((void*)text, size);
    }
  }
  close(file);
  return version;
}

static char* join(const char* folder, const char* file) {
  char* result;
  if (asprintf(&result, "%s/%s", folder, file) < 0) abort();
  return result;
}

static void append(char** paths, const char* more) {
  char* result;
  if (!more || !*more) return;
  if (asprintf(&result, "%s%s%s", *paths, **paths ? ":" : "", more) < 0) abort();
  *paths = result;
}

/* Where containers and distributions keep the NVIDIA driver, when it is not in the loader's cache. */
static void append_driver_folders(char** paths) {
  static const char* const folders[] = {"/usr/local/nvidia/lib64", "/usr/local/nvidia/lib", "/usr/lib64/nvidia",
                                        "/usr/lib/nvidia",         "/usr/lib/wsl/lib",      "/run/opengl-driver/lib"};
  for (size_t i = 0; i < sizeof folders / sizeof *folders; ++i)
    if (access(join(folders[i], "libcuda.so.1"), R_OK) == 0) append(paths, folders[i]);
}

int main(int count, char** arguments) {
  char self[PATH_MAX];
  /* Without /proc: by the name that it was started with. */
  const ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
  if (length > 0)
    self[length] = 0;
  else if (!realpath((const char*)getauxval(AT_EXECFN), self))
    fail("lockstep", "where is", arguments[0], strerror(errno));
  char* slash = strrchr(self, '/');
  const char* name = slash + 1;
  *slash = 0;
  if ((slash = strrchr(self, '/'))) *slash = 0;
  const char* root = self;
  if (strpbrk(root, ":;")) fail(name, "cannot run in", root, "expected a path without \":\" and \";\", which separate the loader's paths");

  char *program = join(root, "libexec"), *own_loader = join(root, "libc/ld-linux-x86-64.so.2");
  program = join(program, name);
  const char *wish = getenv("LOCKSTEP_LIBC"), *given = getenv("LD_LIBRARY_PATH"), *started_by = getenv("OPAL_PREFIX");
  if (wish && strcmp(wish, "host") && strcmp(wish, "bundle")) fail(name, "LOCKSTEP_LIBC is", wish, "expected host or bundle");
  const int own = wish ? !strcmp(wish, "bundle") : glibc_of(HOST_LOADER) < glibc_of(own_loader);

  char* paths = "";
  if (own) append(&paths, join(root, "libc"));
  /* A rank of the bundle's own mpirun takes the same Open MPI, whatever other one is loaded here. */
  const int own_mpi = started_by && !strcmp(started_by, root);
  if (own_mpi) append(&paths, join(root, "lib/openmpi"));
  append(&paths, given);
  if (own) append_driver_folders(&paths);

  char** command = calloc((size_t)count + 6, sizeof *command);
  if (!command) abort();
  const char* started = program;
  int at = 0;
  if (own || (own_mpi && given && *given)) {
    started = own ? own_loader : HOST_LOADER;
    command[at++] = (char*)started;
    command[at++] = "--argv0";
    command[at++] = (char*)name;
    command[at++] = "--library-path";
    command[at++] = paths;
    command[at++] = program;
  } else {
    command[at++] = (char*)name;
  }
  for (int i = 1; i < count; ++i) command[at++] = arguments[i];
  execv(started, command);
  fail(name, "does not start", started, strerror(errno));
}
