/* The bundle's libopen-pal depends on this library, so whoever loads the bundle's Open MPI is told where it lies before it looks, be it
   mpirun, orted or a rank under srun; and who loads the site's is not told anything. It lies in lib/openmpi. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void set(const char* name, const char* root, const char* file) {
  char value[PATH_MAX + 64];
  snprintf(value, sizeof value, "%s%s", root, file);
  /* A site may have set it for its own Open MPI. */
  setenv(name, value, 1);
}

static int in_path(const char* program) {
  const char* folder = getenv("PATH");
  while (folder && *folder) {
    char file[PATH_MAX];
    const size_t length = strcspn(folder, ":");
    snprintf(file, sizeof file, "%.*s/%s", (int)length, folder, program);
    if (access(file, X_OK) == 0) return 1;
    folder += length + (folder[length] == ':');
  }
  return 0;
}

__attribute__((constructor)) static void find_home(void) {
  Dl_info info;
  char root[PATH_MAX];
  if (!dladdr((const void*)&find_home, &info) || !realpath(info.dli_fname, root)) return;
  for (int i = 0; i < 3; ++i) {
    char* slash = strrchr(root, '/');
    if (!slash) return;
    *slash = 0;
  }
  set("OPAL_PREFIX", root, "");
  set("OPAL_BINDIR", root, "/bin");
  set("OPAL_LIBDIR", root, "/lib/openmpi");
  set("OPAL_PKGLIBDIR", root, "/lib/openmpi/components");
  set("OPAL_DATADIR", root, "/share");
  set("OPAL_PKGDATADIR", root, "/share/openmpi");
  set("OPAL_SYSCONFDIR", root, "/share/openmpi");
  set("PMIX_MCA_mca_base_component_path", root, "/lib/openmpi/pmix");
  /* Started by ssh or srun on other hosts, from the same path; the shell there would cut it at a blank. */
  if (!strchr(root, ' ') && !getenv("OMPI_MCA_orte_launch_agent")) set("OMPI_MCA_orte_launch_agent", root, "/bin/orted");
  /* PMIx reads its settings from there, and ends with a fault for a user without home and name, as containers have them. */
  if (!getenv("HOME") && !getpwuid(geteuid())) setenv("HOME", "/", 0);
  /* With nothing that could reach another host Open MPI gives up, even for this host alone. */
  if (!in_path("ssh") && !in_path("rsh") && !in_path("srun")) setenv("OMPI_MCA_plm", "isolated", 0);
}
