#include "distributed/plug_in.h"

/// Of the whole CUDA plug-in, which this folder is a part of.
extern "C" const char* lockstep_plug_in_build() { return lockstep::kPlugInBuild; }
