# Compiles SOURCE to PROGRAM by COMPILER with what pkg-config says of the package in PREFIX.
file(GLOB_RECURSE FILE ${PREFIX}/predictd.pc)
cmake_path(GET FILE PARENT_PATH FOLDER)
set(ENV{PKG_CONFIG_PATH} ${FOLDER})
execute_process(COMMAND pkg-config --cflags --libs predictd
  OUTPUT_VARIABLE FLAGS OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
separate_arguments(FLAGS UNIX_COMMAND "${FLAGS}")
execute_process(COMMAND ${COMPILER} -std=c++20 ${SOURCE} -o ${PROGRAM} ${FLAGS} COMMAND_ERROR_IS_FATAL ANY)
