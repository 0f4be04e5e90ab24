# Makes docs/limits.md from base/limits.h: awk -f docs/limits.awk base/limits.h > docs/limits.md
# A test compares the two. One comment may be followed by several limits; it then stands for all of them.
BEGIN {
    print "# Limits\n"
    print "Every buffer, queue, list and recursion has a named maximum. This table is generated from `base/limits.h`"
    print "(`awk -f docs/limits.awk base/limits.h > docs/limits.md`).\n"
    print "| Limit | Value | What it is; what happens beyond it |"
    print "| --- | --- | --- |"
}
/^enum \{/ { inside = 1; next }
!inside { next }
/^\};/ { inside = 0; next }
/\/\*/ { text = ""; open = 1 }
open {
    line = $0
    closes = line ~ /\*\//
    gsub(/^[ \t]*\/?\*[ \t]?|\*\/.*$/, "", line)
    sub(/^[ \t]+/, "", line)
    sub(/[ \t]+$/, "", line)
    gsub(/\|/, "\\|", line)
    text = text (text == "" || line == "" ? "" : " ") line
    if (closes) open = 0
    next
}
/SY_LIMIT_/ {
    split($0, part, "=")
    name = part[1]; value = part[2]
    gsub(/[ \t]/, "", name)
    sub(/,.*$/, "", value); gsub(/^ +| +$/, "", value)
    printf "| `%s` | %s | %s |\n", name, value, text
}
