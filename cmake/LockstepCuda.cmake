# The CUDA plug-in, liblockstep_cuda.so: our kernels, the kernels of cuDNN and cuBLASLt, and NCCL. Opened at run time where a GPU is wanted,
# so the program starts without any of them. LOCKSTEP_CUDA = AUTO builds it where the tools are there, and says what is missing elsewhere.
set(LOCKSTEP_CUDA AUTO CACHE STRING "Build the CUDA plug-in (AUTO, ON, OFF)")
set_property(CACHE LOCKSTEP_CUDA PROPERTY STRINGS AUTO ON OFF)
set(LOCKSTEP_CUDA_ARCHITECTURES 80-real 90-real 100-real 100-virtual CACHE STRING "What the kernels are compiled for")
set(LOCKSTEP_CUDA_FOUND FALSE)

if(NOT LOCKSTEP_CUDA)
  message(STATUS "CUDA plug-in: switched off")
  return()
endif()

find_program(LOCKSTEP_NVCC nvcc HINTS $ENV{CUDA_HOME}/bin $ENV{CUDA_PATH}/bin /usr/local/cuda/bin)
set(missing "")
if(NOT LOCKSTEP_NVCC)
  set(missing "nvcc (in PATH, CUDA_HOME or /usr/local/cuda)")
else()
  execute_process(COMMAND ${LOCKSTEP_NVCC} --version OUTPUT_VARIABLE nvcc_text ERROR_QUIET)
  string(REGEX MATCH "release ([0-9]+\\.[0-9]+)" found "${nvcc_text}")
  # The first that knows sm_100 and --compress-mode.
  if(NOT found OR CMAKE_MATCH_1 VERSION_LESS 12.8)
    set(missing "nvcc 12.8 or newer (${LOCKSTEP_NVCC} is ${CMAKE_MATCH_1})")
  else()
    include(LockstepCudaVendor)
    set(missing "${LOCKSTEP_CUDA_VENDOR_MISSING}")
  endif()
endif()
if(missing)
  if(NOT LOCKSTEP_CUDA STREQUAL AUTO)
    message(FATAL_ERROR "CUDA plug-in: missing: ${missing}")
  endif()
  message(STATUS "CUDA plug-in: not in this build; missing: ${missing}")
  return()
endif()

set(CMAKE_CUDA_COMPILER ${LOCKSTEP_NVCC})
set(CMAKE_CUDA_HOST_COMPILER ${CMAKE_CXX_COMPILER})
set(CMAKE_CUDA_ARCHITECTURES ${LOCKSTEP_CUDA_ARCHITECTURES})
set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
if(CCACHE)
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${CCACHE})
endif()
enable_language(CUDA)
# CMake 3.25 does not know that nvcc knows C++20.
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
endif()
set(CMAKE_CUDA_STANDARD 20)
set(LOCKSTEP_CUDA_FOUND TRUE)
message(STATUS "CUDA plug-in: nvcc ${CMAKE_CUDA_COMPILER_VERSION}, ${LOCKSTEP_CUDNN_LIBRARY}")

# What the program opens before the plug-in, by the names that the plug-in asks for.
set(LOCKSTEP_CUDA_SONAMES)
foreach(library ${CUDA_cublasLt_LIBRARY} ${CUDA_nvrtc_LIBRARY} ${LOCKSTEP_CUDNN_LIBRARY})
  execute_process(COMMAND ${CMAKE_READELF} -d ${library} OUTPUT_VARIABLE entries ERROR_QUIET)
  if(entries MATCHES "\\(SONAME\\)[^[]*\\[([^]]+)\\]")
    list(APPEND LOCKSTEP_CUDA_SONAMES ${CMAKE_MATCH_1})
  endif()
endforeach()
list(JOIN LOCKSTEP_CUDA_SONAMES " " LOCKSTEP_CUDA_SONAMES)

# Formulas are shared with the CPU, so nothing is contracted here either: the same operations give the same bits.
set(LOCKSTEP_NVCC_OPTIONS --expt-relaxed-constexpr --fmad=false -DFMT_CONSTEVAL= -DFMT_USE_CONSTEXPR=1
  "-DLOCKSTEP_FORMULA=__host__ __device__")
set(LOCKSTEP_NVCC_INCLUDES ${CMAKE_SOURCE_DIR}/core/backend/cuda ${CMAKE_SOURCE_DIR}/core/backend/cuda/nvcc ${CMAKE_SOURCE_DIR})

# Every layer and optimizer that is a formula is compiled for CUDA too: by a file of one line that includes it.
set(formula_wrappers)
file(GLOB formula_files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/core/layers/*.cpp ${CMAKE_SOURCE_DIR}/core/optim/*.cpp)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${formula_files})
foreach(file ${formula_files})
  file(STRINGS ${file} kernel_header REGEX "^#include \"(elementwise|update)_kernel\\.h\"" LIMIT_COUNT 1)
  string(REGEX REPLACE "^#include \"(.*)\".*$" "\\1" kernel_header "${kernel_header}")
  if(kernel_header AND EXISTS ${CMAKE_SOURCE_DIR}/core/backend/cuda/${kernel_header})
    file(RELATIVE_PATH name ${CMAKE_SOURCE_DIR} ${file})
    string(REGEX REPLACE "\\.cpp$" ".cu" wrapper ${CMAKE_BINARY_DIR}/generated/cuda/${name})
    file(CONFIGURE OUTPUT ${wrapper} CONTENT "#include \"${name}\"\n" @ONLY)
    list(APPEND formula_wrappers ${wrapper})
  endif()
endforeach()

file(GLOB cuda_kernel_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/core/backend/cuda/*.cu)
set(LOCKSTEP_CUDA_KERNEL_SOURCES ${cuda_kernel_sources} ${formula_wrappers})
if(LOCKSTEP_CUDA_KERNEL_SOURCES)
  add_library(lockstep_cuda_kernels OBJECT ${LOCKSTEP_CUDA_KERNEL_SOURCES})
  target_include_directories(lockstep_cuda_kernels PRIVATE ${LOCKSTEP_NVCC_INCLUDES})
  target_link_libraries(lockstep_cuda_kernels PRIVATE fmt::fmt)
  # A kernel that spills registers to memory does not build.
  target_compile_options(lockstep_cuda_kernels PRIVATE ${LOCKSTEP_NVCC_OPTIONS} --compress-mode=size -Xptxas=--warn-on-spills,--warning-as-error
    "-Xcompiler=-Wall,-ffp-contract=off,-march=x86-64-v2,-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=")
endif()

# Apart, so that the tests of plans take the same objects: one file of it compiles for most of a minute.
file(GLOB cuda_vendor_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/core/backend/cuda/vendor/*.cpp)
add_library(lockstep_cuda_vendor OBJECT ${cuda_vendor_sources})
target_include_directories(lockstep_cuda_vendor PRIVATE ${LOCKSTEP_NVCC_INCLUDES})
target_link_libraries(lockstep_cuda_vendor PRIVATE lockstep_flags lockstep_cuda_vendor_libraries nlohmann_json::nlohmann_json)

file(GLOB cuda_host_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/core/backend/cuda/*.cpp ${CMAKE_SOURCE_DIR}/distributed/nccl/*.cpp)
add_library(lockstep_cuda MODULE ${cuda_host_sources})
target_include_directories(lockstep_cuda PRIVATE ${LOCKSTEP_NVCC_INCLUDES})
target_link_libraries(lockstep_cuda PRIVATE lockstep lockstep_flags lockstep_cuda_vendor lockstep_cuda_vendor_libraries)
# What no source uses is not asked for at run time.
target_link_options(lockstep_cuda PRIVATE -Wl,--as-needed -Wl,--exclude-libs,ALL)
if(TARGET lockstep_cuda_kernels)
  target_link_libraries(lockstep_cuda PRIVATE lockstep_cuda_kernels)
endif()
set_target_properties(lockstep_cuda PROPERTIES LINKER_LANGUAGE CXX)
install(TARGETS lockstep_cuda LIBRARY DESTINATION lib OPTIONAL)

# The stand-in for a driver that `plan --device` opens by its path where there is none. In a folder of its own: no loader finds it.
find_file(LOCKSTEP_CUDA_STUB libcuda.so HINTS ${CUDAToolkit_LIBRARY_DIR} PATH_SUFFIXES stubs NO_DEFAULT_PATH)
if(LOCKSTEP_CUDA_STUB)
  set(stand_in_source ${CMAKE_BINARY_DIR}/generated/cuda/stand_in_driver.c)
  set(make_stand_in ${CMAKE_SOURCE_DIR}/core/backend/cuda/make_stand_in_driver.cmake)
  add_custom_command(OUTPUT ${stand_in_source} DEPENDS ${make_stand_in} ${LOCKSTEP_CUDA_STUB}
    COMMAND ${CMAKE_COMMAND} -DSTUB=${LOCKSTEP_CUDA_STUB} -DNM=${CMAKE_NM} -DSOURCE=${stand_in_source} -P ${make_stand_in})
  add_library(lockstep_stand_in_driver SHARED ${stand_in_source})
  target_compile_options(lockstep_stand_in_driver PRIVATE -w)
  set_target_properties(lockstep_stand_in_driver PROPERTIES OUTPUT_NAME cuda SOVERSION 1 C_VISIBILITY_PRESET default
    LIBRARY_OUTPUT_DIRECTORY ${CMAKE_LIBRARY_OUTPUT_DIRECTORY}/lockstep/described)
  add_dependencies(lockstep_cuda lockstep_stand_in_driver)
  install(TARGETS lockstep_stand_in_driver LIBRARY DESTINATION lib/lockstep/described NAMELINK_SKIP OPTIONAL)
endif()
