/* The program's version, in one place. CMakeLists.txt checks that it agrees with project(). */
#ifndef SY_BASE_VERSION_H
#define SY_BASE_VERSION_H

#define SY_VERSION "0.1.0"

#endif
