# The libraries of NVIDIA that vendor kernels stand on: cuDNN with cudnn-frontend's headers, cuBLASLt, NVRTC. Sets
# LOCKSTEP_CUDA_VENDOR_FOUND and makes the target lockstep_cuda_vendor_libraries, or says in LOCKSTEP_CUDA_VENDOR_MISSING what is not there.
set(LOCKSTEP_CUDNN_FRONTEND ${CMAKE_SOURCE_DIR}/.dependencies/cudnn-frontend/include CACHE PATH "Folder of cudnn_frontend.h")
find_package(CUDAToolkit QUIET)
file(GLOB cudnn_wheels $ENV{CUDNN_PATH} /usr/lib/python3*/site-packages/nvidia/cudnn /usr/local/lib/python3*/*-packages/nvidia/cudnn)
find_path(LOCKSTEP_CUDNN_INCLUDE cudnn.h HINTS ${cudnn_wheels} ${CUDAToolkit_INCLUDE_DIRS} PATH_SUFFIXES include)
# Wheels have the versioned name alone.
find_library(LOCKSTEP_CUDNN_LIBRARY NAMES cudnn libcudnn.so.9 HINTS ${cudnn_wheels} ${CUDAToolkit_LIBRARY_DIR} PATH_SUFFIXES lib lib64)

set(LOCKSTEP_CUDA_VENDOR_MISSING "")
if(NOT CUDAToolkit_FOUND)
  list(APPEND LOCKSTEP_CUDA_VENDOR_MISSING "the CUDA toolkit")
endif()
if(NOT LOCKSTEP_CUDNN_INCLUDE OR NOT LOCKSTEP_CUDNN_LIBRARY)
  list(APPEND LOCKSTEP_CUDA_VENDOR_MISSING "cuDNN 9")
endif()
if(NOT EXISTS ${LOCKSTEP_CUDNN_FRONTEND}/cudnn_frontend.h)
  list(APPEND LOCKSTEP_CUDA_VENDOR_MISSING "cudnn-frontend's headers (launch/set_up.sh fetches them)")
endif()
foreach(library cublasLt nvrtc cudart_static)
  if(CUDAToolkit_FOUND AND NOT TARGET CUDA::${library})
    list(APPEND LOCKSTEP_CUDA_VENDOR_MISSING ${library})
  endif()
endforeach()
list(JOIN LOCKSTEP_CUDA_VENDOR_MISSING ", " LOCKSTEP_CUDA_VENDOR_MISSING)

set(LOCKSTEP_CUDA_VENDOR_FOUND FALSE)
if(LOCKSTEP_CUDA_VENDOR_MISSING STREQUAL "")
  set(LOCKSTEP_CUDA_VENDOR_FOUND TRUE)
  add_library(lockstep_cuda_vendor_libraries INTERFACE)
  target_include_directories(lockstep_cuda_vendor_libraries SYSTEM INTERFACE ${LOCKSTEP_CUDNN_FRONTEND} ${LOCKSTEP_CUDNN_INCLUDE}
    ${CUDAToolkit_INCLUDE_DIRS})
  # The one file that reads cudnn_frontend.h is most of a build's wait, and nothing in it is hot.
  set_source_files_properties(${CMAKE_SOURCE_DIR}/core/backend/cuda/vendor/convolution_plan.cpp PROPERTIES COMPILE_OPTIONS "-O1;-g0")
  target_link_libraries(lockstep_cuda_vendor_libraries INTERFACE ${LOCKSTEP_CUDNN_LIBRARY} CUDA::cublasLt CUDA::nvrtc CUDA::cudart_static)
endif()
