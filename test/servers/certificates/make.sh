#!/bin/sh
# Makes the certificates of the servers in tests again; needs openssl.
set -eu
cd "$(dirname "$0")"
names=subjectAltName=DNS:localhost,IP:127.0.0.1
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem \
  -subj "/CN=dutboot test authority" -days 36500 2>/dev/null
sign() { # name alternative-names not-before not-after
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.csr" \
    -subj "/CN=$1" -addext "$2" 2>/dev/null
  mkdir -p db && : > db/index && echo "unique_subject = no" > db/index.attr
  printf '[ca]\ndefault_ca=d\n[d]\nnew_certs_dir=db\ndatabase=db/index\nrand_serial=yes\ndefault_md=sha256\npolicy=p\ncopy_extensions=copy\n[p]\ncommonName=supplied\n' > db/config
  openssl ca -batch -config db/config -cert ca.pem -keyfile ca.key -in "$1.csr" -out "$1.pem" -notext \
    -startdate "$3" -enddate "$4" 2>/dev/null
  rm -r db "$1.csr"
}
sign good "$names" 20200101000000Z 21200101000000Z
sign other-name subjectAltName=DNS:other.example 20200101000000Z 21200101000000Z
sign expired "$names" 20000101000000Z 20010101000000Z
sign future "$names" 21000101000000Z 21200101000000Z
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout self-signed.key -out self-signed.pem \
  -subj "/CN=localhost" -addext "$names" -days 36500 2>/dev/null
rm ca.key
