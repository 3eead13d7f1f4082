#include "nats/subjects.hpp"

#include <doctest/doctest.h>

using namespace aiops::nats::subjects;

TEST_CASE("any name survives as one subject token") {
  for (auto name : {"plain-Name_1", "my.cluster", "a b", "100%", "*", ">", "ä",
                    "日本", "%2E", "a/b\\c"}) {
    CAPTURE(name);
    auto token = encode_token(name);
    CHECK(token.find_first_of(".*> \t") == std::string::npos);
    CHECK(decode_token(token) == name);
  }
  CHECK(encode_token("my.cluster") == "my%2Ecluster");
  CHECK(encode_token("ä") == "%C3%A4");
}

TEST_CASE("a malformed token decodes to nothing") {
  for (auto token : {"%", "%4", "%zz", "a%2", "%+1", "% 1"}) {
    CAPTURE(token);
    CHECK(!decode_token(token));
  }
}

TEST_CASE("subjects name streams, keys and workloads") {
  CHECK(log_subject("logs", "a.b", "kube-system", "c d")
        == "logs.a%2Eb.kube-system.c%20d");
  CHECK(kv_subject("bucket", "key") == "$KV.bucket.key");
  CHECK(jetstream_api("STREAM.INFO", "KV_bucket")
        == "$JS.API.STREAM.INFO.KV_bucket");
}
