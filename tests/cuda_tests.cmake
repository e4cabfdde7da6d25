# The CUDA backend without a GPU: its kernels and its host code, compiled by g++ over the shim in tests/support/simt. Needs
# the toolkit's headers alone.
find_path(LOCKSTEP_CUDA_HEADERS cuda_runtime_api.h HINTS ${CUDAToolkit_INCLUDE_DIRS} PATHS /usr/local/cuda/include
  DOC "Folder of cuda_runtime_api.h; without it the CUDA backend is not tested")
if(NOT LOCKSTEP_CUDA_HEADERS)
  message(STATUS "tests: no CUDA headers, so the CUDA backend is not tested")
  return()
endif()
find_package(Boost 1.74 REQUIRED COMPONENTS context)

# A file of kernels becomes C++ by being included.
set(simt_folder ${CMAKE_BINARY_DIR}/simt)
set(simt_sources)
function(simt_wrap source)
  file(RELATIVE_PATH name ${CMAKE_SOURCE_DIR} ${source})
  set(wrapper ${simt_folder}/${name}.cpp)
  file(CONFIGURE OUTPUT ${wrapper} CONTENT "#include \"${name}\"\n")
  set_property(SOURCE ${wrapper} APPEND PROPERTY OBJECT_DEPENDS ${source})
  set(simt_sources ${simt_sources} ${wrapper} PARENT_SCOPE)
endfunction()
file(GLOB kernel_files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/core/backend/cuda/*.cu)
foreach(file ${kernel_files})
  simt_wrap(${file})
endforeach()
# Layers and optimizers whose formula becomes a kernel by the header of this name in the backend's folder.
file(GLOB formula_files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/core/layers/*.cpp ${CMAKE_SOURCE_DIR}/core/optim/*.cpp)
foreach(header elementwise_kernel.h update_kernel.h)
  if(NOT EXISTS ${CMAKE_SOURCE_DIR}/core/backend/cuda/${header})
    continue()
  endif()
  foreach(file ${formula_files})
    file(STRINGS ${file} found REGEX "^#include \"${header}\"")
    if(found)
      simt_wrap(${file})
    endif()
  endforeach()
endforeach()

file(GLOB simt_files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/core/backend/cuda/*.cpp ${CMAKE_CURRENT_SOURCE_DIR}/support/simt/*.cpp)
list(FILTER simt_files EXCLUDE REGEX "_test.cpp$")
add_library(lockstep_cuda_simt OBJECT ${simt_sources} ${simt_files})
target_include_directories(lockstep_cuda_simt PRIVATE ${CMAKE_SOURCE_DIR}/core/backend/cuda ${CMAKE_SOURCE_DIR}/tests/support/simt)
target_include_directories(lockstep_cuda_simt SYSTEM PUBLIC ${LOCKSTEP_CUDA_HEADERS})
set(simt_checks -fsanitize=undefined -fno-sanitize=vptr -fno-sanitize-recover=all)
target_compile_options(lockstep_cuda_simt PRIVATE -O2 -Wno-unknown-pragmas ${simt_checks})
target_link_options(lockstep_cuda_simt INTERFACE ${simt_checks})
target_link_libraries(lockstep_cuda_simt PRIVATE lockstep Boost::context PUBLIC Boost::context)

# lockstep_cuda_test(target folder): the tests of a folder over the shim.
function(lockstep_cuda_test target folder)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*_test.cpp)
  if(NOT sources)
    return()
  endif()
  add_executable(${target} ${sources} ${CMAKE_CURRENT_SOURCE_DIR}/support/device_case.cpp)
  target_link_libraries(${target} PRIVATE lockstep lockstep_cuda_simt lockstep_test_support GTest::gtest_main OpenMP::OpenMP_CXX)
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR}/core/backend/cuda ${CMAKE_SOURCE_DIR}/tests/support/simt)
  target_compile_definitions(${target} PRIVATE LOCKSTEP_SOURCE_DIR="${CMAKE_SOURCE_DIR}" LOCKSTEP_BINARY_DIR="${CMAKE_BINARY_DIR}")
  target_compile_options(${target} PRIVATE -O1 -Wno-unknown-pragmas)
  gtest_discover_tests(${target} TEST_PREFIX "${folder}/" PROPERTIES LABELS unit TIMEOUT 120 DISCOVERY_TIMEOUT 60)
  add_dependencies(lockstep_tests ${target})
endfunction()
lockstep_cuda_test(support_simt_tests support/simt)
lockstep_cuda_test(core_backend_cuda_tests core/backend/cuda)

# The same tests, where they need nothing of the shim, with the plug-in on a real GPU; skipped where there is none.
if(TARGET lockstep_cuda)
  set(gpu_sources)
  file(GLOB device_tests CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/core/backend/cuda/*_test.cpp)
  foreach(file ${device_tests})
    file(STRINGS ${file} shim REGEX "^#include (\"tests/support/simt/|\"core/backend/cuda/|\"launch.h\"|<cuda)")
    if(NOT shim)
      list(APPEND gpu_sources ${file})
    endif()
  endforeach()
  if(gpu_sources)
    add_executable(gpu_tests ${gpu_sources} support/gpu/gpu_backend.cpp support/device_case.cpp)
    target_link_libraries(gpu_tests PRIVATE lockstep lockstep_test_support GTest::gtest_main)
    target_compile_options(gpu_tests PRIVATE -O1)
    add_dependencies(gpu_tests lockstep_cuda)
    gtest_discover_tests(gpu_tests TEST_PREFIX "gpu/" PROPERTIES LABELS gpu TIMEOUT 120 RUN_SERIAL TRUE DISCOVERY_TIMEOUT 60)
    add_dependencies(lockstep_tests gpu_tests)
  endif()
endif()

# The program with a CUDA plug-in over the shim, laid out like an installation, for the tests of whole runs.
set(shim_installation ${CMAKE_BINARY_DIR}/shim)
add_library(lockstep_cuda_shim MODULE ${CMAKE_CURRENT_SOURCE_DIR}/support/simt_plug_in/plug_in.cpp ${CMAKE_CURRENT_SOURCE_DIR}/support/cpu_backend.cpp)
target_link_libraries(lockstep_cuda_shim PRIVATE lockstep lockstep_flags lockstep_cuda_simt)
set_target_properties(lockstep_cuda_shim PROPERTIES OUTPUT_NAME lockstep_cuda LIBRARY_OUTPUT_DIRECTORY ${shim_installation}/lib)
add_library(lockstep_shim_driver SHARED ${CMAKE_CURRENT_SOURCE_DIR}/support/simt_plug_in/driver.c)
set_target_properties(lockstep_shim_driver PROPERTIES OUTPUT_NAME cuda SOVERSION 1 LIBRARY_OUTPUT_DIRECTORY ${shim_installation}/driver)
add_custom_target(lockstep_shim ALL
  COMMAND ${CMAKE_COMMAND} -E make_directory ${shim_installation}/bin
  COMMAND ${CMAKE_COMMAND} -E copy_if_different $<TARGET_FILE:lockstep_program> ${shim_installation}/bin
  COMMAND ${CMAKE_COMMAND} -E copy_if_different $<TARGET_FILE:lockstep> $<$<TARGET_EXISTS:lockstep_mpi>:$<TARGET_FILE:lockstep_mpi>> ${shim_installation}/lib
  COMMAND_EXPAND_LISTS VERBATIM)
add_dependencies(lockstep_shim lockstep_cuda_shim lockstep_shim_driver lockstep_program lockstep)
if(TARGET lockstep_mpi)
  add_dependencies(lockstep_shim lockstep_mpi)
endif()
add_dependencies(lockstep_tests lockstep_shim)

# Kernels of NVIDIA's libraries: the plug-in's own objects with the real cuDNN and cuBLASLt, planning for a GPU that is
# described only. A libcuda that refuses every call stands in for the driver.
file(GLOB vendor_tests CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/core/backend/cuda/vendor/*_test.cpp)
if(TARGET lockstep_stand_in_driver AND vendor_tests)
  set(stand_in_driver ${CMAKE_LIBRARY_OUTPUT_DIRECTORY}/lockstep/described)
  # Of our own kernels those that vendor kernels call, for one architecture: nothing runs.
  add_library(lockstep_cuda_weights OBJECT ${CMAKE_SOURCE_DIR}/core/backend/cuda/weights.cu)
  target_include_directories(lockstep_cuda_weights PRIVATE ${LOCKSTEP_NVCC_INCLUDES})
  target_compile_options(lockstep_cuda_weights PRIVATE ${LOCKSTEP_NVCC_OPTIONS})
  target_link_libraries(lockstep_cuda_weights PRIVATE fmt::fmt)
  set_target_properties(lockstep_cuda_weights PROPERTIES CUDA_ARCHITECTURES 90-real)
  add_executable(core_backend_cuda_vendor_tests ${vendor_tests} ${CMAKE_SOURCE_DIR}/core/backend/cuda/register.cpp
    ${CMAKE_SOURCE_DIR}/core/backend/cuda/vendor_options.cpp)
  target_link_libraries(core_backend_cuda_vendor_tests PRIVATE lockstep lockstep_flags lockstep_cuda_vendor lockstep_cuda_weights
    lockstep_cuda_vendor_libraries GTest::gtest_main)
  target_include_directories(core_backend_cuda_vendor_tests PRIVATE ${CMAKE_SOURCE_DIR}/core/backend/cuda ${CMAKE_SOURCE_DIR}/core/backend/cuda/nvcc)
  target_compile_definitions(core_backend_cuda_vendor_tests PRIVATE LOCKSTEP_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  target_compile_options(core_backend_cuda_vendor_tests PRIVATE -O1)
  set_target_properties(core_backend_cuda_vendor_tests PROPERTIES LINKER_LANGUAGE CXX)
  add_dependencies(core_backend_cuda_vendor_tests lockstep_stand_in_driver)
  gtest_discover_tests(core_backend_cuda_vendor_tests TEST_PREFIX "core/backend/cuda/vendor/" DISCOVERY_TIMEOUT 60
    PROPERTIES LABELS unit TIMEOUT 300 ENVIRONMENT_MODIFICATION "LD_LIBRARY_PATH=path_list_prepend:${stand_in_driver}")
  add_dependencies(lockstep_tests core_backend_cuda_vendor_tests)
else()
  message(STATUS "tests: no CUDA plug-in in this build, so cuDNN's plans are not tested")
endif()

# The host code round those libraries, on the shim: the libraries themselves are stand-ins that compute on the host.
set(vendor_headers ${LOCKSTEP_CUDNN_INCLUDE} ${LOCKSTEP_CUDA_HEADERS})
find_file(LOCKSTEP_CUDNN_HEADER cudnn.h PATHS ${vendor_headers} NO_DEFAULT_PATH)
file(GLOB stand_ins CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/core/backend/cuda/vendor/host/*.cpp)
if(LOCKSTEP_CUDNN_HEADER AND EXISTS ${LOCKSTEP_CUDA_HEADERS}/cublasLt.h AND stand_ins)
  set(vendor_folder ${CMAKE_SOURCE_DIR}/core/backend/cuda/vendor)
  file(GLOB runtime_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/support/simt/*.cpp)
  list(FILTER runtime_sources EXCLUDE REGEX "(_test|lent_kernels|simt_backend)\\.cpp$")
  add_executable(core_backend_cuda_vendor_host_tests ${stand_ins} ${runtime_sources} ${simt_folder}/core/backend/cuda/weights.cu.cpp
    ${CMAKE_SOURCE_DIR}/core/backend/cuda/register.cpp ${CMAKE_SOURCE_DIR}/core/backend/cuda/vendor_options.cpp ${vendor_folder}/conv2d.cpp
    ${vendor_folder}/convolution.cpp ${vendor_folder}/convolution_problem.cpp ${vendor_folder}/dense.cpp ${vendor_folder}/engine_choice.cpp
    ${vendor_folder}/matmul_problem.cpp ${vendor_folder}/plan_file.cpp ${vendor_folder}/plan_store.cpp)
  target_include_directories(core_backend_cuda_vendor_host_tests PRIVATE ${CMAKE_SOURCE_DIR}/core/backend/cuda ${CMAKE_SOURCE_DIR}/tests/support/simt)
  target_include_directories(core_backend_cuda_vendor_host_tests SYSTEM PRIVATE ${vendor_headers})
  target_link_libraries(core_backend_cuda_vendor_host_tests PRIVATE lockstep Boost::context nlohmann_json::nlohmann_json GTest::gtest_main)
  target_compile_options(core_backend_cuda_vendor_host_tests PRIVATE -O1 -Wno-unknown-pragmas ${simt_checks})
  target_link_options(core_backend_cuda_vendor_host_tests PRIVATE ${simt_checks})
  gtest_discover_tests(core_backend_cuda_vendor_host_tests TEST_PREFIX "core/backend/cuda/vendor/host/" DISCOVERY_TIMEOUT 60
    PROPERTIES LABELS unit TIMEOUT 120)
  add_dependencies(lockstep_tests core_backend_cuda_vendor_host_tests)
endif()
