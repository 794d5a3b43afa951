# Compiler options that every target of this project shares.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_POSITION_INDEPENDENT_CODE OFF)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

find_program(SKERRY_CCACHE ccache)
if(SKERRY_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${SKERRY_CCACHE})
endif()

add_library(skerry_options INTERFACE)
target_compile_options(skerry_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror
  -Wno-missing-field-initializers)  # designated initialisers name what matters
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports values inside std::variant and std::optional as unset when it has inlined them.
  target_compile_options(skerry_options INTERFACE -Wno-maybe-uninitialized)
endif()
