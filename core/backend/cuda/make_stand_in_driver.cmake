# Writes a libcuda.so.1 that holds every name of the toolkit's stub and no driver: all calls answer 34 (stub library) but
# those that cuDNN needs to load what it compiled. With it plans are made for a GPU that is described only.
# cmake -DSTUB=.../stubs/libcuda.so -DNM=nm -DSOURCE=stand_in_driver.c -P make_stand_in_driver.cmake
execute_process(COMMAND ${NM} -D --defined-only ${STUB} OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL " T [A-Za-z0-9_]+" symbols "${symbols}")
set(text "int lockstep_stand_in_driver;\n")
foreach(symbol ${symbols})
  string(SUBSTRING ${symbol} 3 -1 name)
  if(name MATCHES "^(cuLibraryLoadData|cuLibraryGetKernel)$")
    string(APPEND text "int ${name}(void** made) { *made = &lockstep_stand_in_driver; return 0; }\n")
  elseif(name STREQUAL "cuLibraryUnload")
    string(APPEND text "int ${name}(void) { return 0; }\n")
  else()
    string(APPEND text "int ${name}(void) { return 34; }\n")
  endif()
endforeach()
file(WRITE ${SOURCE} "${text}")
