# Leaves an empty result.
printf '{"version":"1.1","result":[]}' >output.json
