#!/bin/sh
# The test: asks Mesa's software Vulkan driver what it is, and says in Mesa's own words how that ended.
# Runs in the test image, with this artifact unpacked at / and /results mounted.
set -u

export VK_DRIVER_FILES=/usr/share/vulkan/icd.d/lvp_icd.json
# Older loaders know it by this name only.
export VK_ICD_FILENAMES=$VK_DRIVER_FILES
export XDG_CACHE_HOME=/tmp XDG_RUNTIME_DIR=/tmp
results=${RESULTS_DIR:-/results}
mkdir -p "$results"

echo "mesa artifact: $(cat "${0%/*}/VERSION")"
started=$(date +%s)
{
  vulkaninfo --summary
  echo $? > "$results/.exit_code"
} 2>&1 | tee "$results/vulkaninfo.txt"
read -r exit_code < "$results/.exit_code"
rm "$results/.exit_code"
ended=$(date +%s)

device=$(sed -n 's/^[[:space:]]*deviceName[[:space:]]*= //p' "$results/vulkaninfo.txt" | head -n 1)
case $exit_code:$device in
  0:llvmpipe*) result=pass ;;
  0:*) result=fail exit_code=1 ;;
  *) result=fail ;;
esac
printf '{"test":"vulkaninfo","result":"%s","exit_code":%d,"device":"%s","seconds":%d}\n' \
  "$result" "$exit_code" "$device" $((ended - started)) > "$results/result.json"
echo "hwci: mesa: exit_code: $exit_code"
exit "$exit_code"
