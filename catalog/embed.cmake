# Writes OUT: every migration of DIR as a C array, in order of its number.
file(GLOB files RELATIVE ${DIR} ${DIR}/[0-9][0-9][0-9][0-9]_*.sql)
list(SORT files)
set(arrays "")
set(rows "")
foreach(name ${files})
    string(SUBSTRING ${name} 0 4 number)
    file(READ ${DIR}/${name} hex HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
    string(APPEND arrays "static const char sql_${number}[] = {\n${bytes}0x00};\n")
    string(APPEND rows "    {${number}, \"${name}\", sql_${number}},\n")
endforeach()
string(REGEX REPLACE "{0+([0-9])" "{\\1" rows "${rows}")
file(WRITE ${OUT} "/* Generated from migrations/ by catalog/embed.cmake. */\n#include \"catalog/migrations.h\"\n\n${arrays}\n"
    "const struct sy_migration sy_migrations[] = {\n${rows}};\n"
    "const unsigned sy_migration_count = sizeof(sy_migrations) / sizeof(sy_migrations[0]);\n")
