#include "http/server/negotiation.hpp"

#include "tests/http/gunzip.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace aiops;
using namespace aiops::http;
using namespace aiops::test;
using namespace std::literals;

namespace {

http_response answer(std::string body) {
  http_response result;
  result.body = std::move(body);
  result.recurring = true;
  return result;
}

std::string header_of(const http_response& x, std::string_view key) {
  for (auto& [other, value] : x.headers)
    if (other == key)
      return value;
  return {};
}

} // namespace

TEST_CASE("gzip is accepted by name or asterisk with a positive weight") {
  for (auto text : {"gzip", "GZIP", "x-gzip", "br, gzip", "gzip;q=1",
                    "gzip; q=0.001", "gzip ; Q=0.5, br", "*", "br;q=0, *;q=0.1",
                    "*;q=0, gzip", ",, gzip ,", "gzip;q=1.000"}) {
    CAPTURE(text);
    CHECK(accepts_gzip(text));
  }
  for (auto text :
       {"", "br", "identity", "gzipped", "gzip;q=0", "gzip;q=0.000",
        "gzip; q=0, *", "*, gzip;q=0", "*;q=0", "gzip;q=", "gzip;q=x",
        "gzip;q=-1", "gzip;q", "gzip;p=1", "gzip;q=2", ";q=1"}) {
    CAPTURE(text);
    CHECK(!accepts_gzip(text));
  }
}

TEST_CASE("a tag depends on the bytes") {
  auto tag = etag_of("abc");
  CHECK(tag == etag_of("abc"));
  CHECK(tag != etag_of("abd"));
  CHECK(tag != etag_of("abc "));
  CHECK(etag_of("") != etag_of("\0"sv));
  CHECK(tag.size() == 20);
  CHECK(tag.starts_with("W/\""));
  CHECK(tag.ends_with('"'));
}

TEST_CASE("tags are found in lists") {
  auto tag = R"(W/"abc")";
  for (auto text :
       {R"(W/"abc")", R"("abc")", R"("x", W/"abc")", R"("x",W/"y","abc")",
        R"(  W/"abc"  )", "*", " * ", R"("a,b", "abc")", R"(,, "abc")"}) {
    CAPTURE(text);
    CHECK(etag_matches(text, tag));
  }
  for (auto text : {"", "abc", R"("abc)", R"(abc")", R"("ABC")", R"("x")",
                    R"("x, "abc)", R"("*")", R"(w/"abc")", "W/", R"("x" abc)",
                    R"("ab" "c")", R"("abc%22")"}) {
    CAPTURE(text);
    CHECK(!etag_matches(text, tag));
  }
}

TEST_CASE("compressed bytes can be decompressed") {
  for (auto n : {0, 1, 1000, 1'000'000}) {
    std::string text;
    for (auto i = 0; i < n; ++i)
      text += static_cast<char>('a' + i % 23);
    auto compressed = gzip(text);
    REQUIRE(compressed);
    CHECK(gunzip(*compressed) == text);
  }
}

TEST_CASE("a recurring answer has a tag and may be cached") {
  auto res = answer("{}");
  negotiate({}, res);
  CHECK(res.status == 200);
  CHECK(res.body == "{}");
  CHECK(header_of(res, "ETag") == etag_of("{}"));
  CHECK(header_of(res, "Vary") == "Accept-Encoding");
  CHECK(header_of(res, "Cache-Control") == "no-cache");
  CHECK(header_of(res, "Content-Encoding").empty());
}

TEST_CASE("a client that has the answer gets 304 and the tag") {
  std::string large(5000, 'x');
  http_request req;
  auto tag = etag_of(large);
  req.if_none_match = tag;
  req.accepts_gzip = true;
  auto res = answer(large);
  negotiate(req, res);
  CHECK(res.status == 304);
  CHECK(res.body.empty());
  CHECK(header_of(res, "ETag") == tag);
  CHECK(header_of(res, "Vary") == "Accept-Encoding");
  CHECK(header_of(res, "Content-Encoding").empty());
  res = answer(large + "y");
  negotiate(req, res);
  CHECK(res.status == 200);
}

TEST_CASE("large answers are compressed for clients that accept it") {
  http_request req;
  req.accepts_gzip = true;
  std::string large(min_compressed, 'x');
  auto res = answer(large);
  negotiate(req, res);
  CHECK(header_of(res, "Content-Encoding") == "gzip");
  CHECK(header_of(res, "ETag") == etag_of(large));
  CHECK(gunzip(res.body) == large);
  res = answer(large.substr(1));
  negotiate(req, res);
  CHECK(header_of(res, "Content-Encoding").empty());
  CHECK(res.body == large.substr(1));
  CHECK(header_of(res, "Vary") == "Accept-Encoding");
}

TEST_CASE("errors and other answers are not changed") {
  http_request req;
  req.if_none_match = "*";
  req.accepts_gzip = true;
  auto res = answer(std::string(5000, 'x'));
  res.status = 404;
  negotiate(req, res);
  CHECK(res.status == 404);
  CHECK(res.headers.empty());
  res = answer(std::string(5000, 'x'));
  res.recurring = false;
  negotiate(req, res);
  CHECK(res.status == 200);
  CHECK(res.body.size() == 5000);
  CHECK(res.headers.empty());
}
