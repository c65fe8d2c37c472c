// Credentials of the interop peers in C++: from PEM files, or cleartext where none is named.
#pragma once

#include <grpcpp/grpcpp.h>

#include <fstream>
#include <iterator>
#include <memory>
#include <string>

namespace ficus::interop {

struct TlsFiles {
  std::string ca, cert, key;  // paths; empty: none
};

inline std::string file_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline std::shared_ptr<grpc::ServerCredentials> server_credentials(const TlsFiles& files) {
  if (files.cert.empty()) return grpc::InsecureServerCredentials();
  grpc::SslServerCredentialsOptions options;
  options.pem_key_cert_pairs.push_back({file_text(files.key), file_text(files.cert)});
  return grpc::SslServerCredentials(options);
}

// Trusts `ca` alone; checks the name that the channel is told to expect.
inline std::shared_ptr<grpc::ChannelCredentials> channel_credentials(const TlsFiles& files) {
  if (files.ca.empty()) return grpc::InsecureChannelCredentials();
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = file_text(files.ca);
  return grpc::SslCredentials(options);
}

}  // namespace ficus::interop
