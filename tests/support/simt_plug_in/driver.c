/* A libcuda.so.1 that is there: the program asks it for its version before it opens the CUDA plug-in. */
int cuDriverGetVersion(int* version) {
  *version = 13000;
  return 0;
}
