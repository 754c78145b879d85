#!/bin/sh
echo "nobody may execute this file"
