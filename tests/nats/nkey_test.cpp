#include "nats/nkey.hpp"

#include <doctest/doctest.h>

using namespace aiops;
using namespace aiops::nats;

namespace {

// Pairs from the reference implementation, for 32 counting bytes.
struct pair {
  const char* seed;
  const char* key;
};

constexpr pair pairs[] = {
  {"SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y",
   "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK"},
  {"SUAAOCAJBIFQYDIOB4IBCEQTCQKRMFYYDENBWHA5DYPSAIJCEMSCKJR2OM",
   "UAANAWQ5D2RFCOLNKV5PXVCYRM6G3GO35OLS73IQUMSWF2RG3TOPUNZ4"},
  {"SUAA4DYQCEJBGFAVCYLRQGI2DMOB2HQ7EAQSEIZEEUTCOKBJFIVSYLNJMA",
   "UCL7LI33MWYLCHRQBY3FA7LWCCV7G24777DPEF53HHSRST464FXIXO2U"},
};

} // namespace

TEST_CASE("the public key follows from the seed") {
  for (auto& [seed, key] : pairs)
    CHECK(nkey_public_key(seed) == key);
}

TEST_CASE("a seed is found in bare and decorated files") {
  CHECK(find_nkey_seed("SUABC\n") == "SUABC");
  CHECK(find_nkey_seed("-----BEGIN USER NKEY SEED-----\r\n  SUABC \r\n"
                       "------END USER NKEY SEED------\r\n")
        == "SUABC");
  CHECK(find_nkey_seed("").empty());
  CHECK(find_nkey_seed("UABC\n").empty());
}

TEST_CASE("a malformed seed has no public key") {
  CHECK(!nkey_public_key(""));
  CHECK(!nkey_public_key("not base32!"));
  auto seed = std::string{pairs[0].seed};
  CHECK(!nkey_public_key(seed.substr(1)));
  CHECK(!nkey_public_key(seed + 'A'));
  // The checksum notices a changed character.
  seed[10] = seed[10] == 'A' ? 'B' : 'A';
  CHECK(!nkey_public_key(seed));
  // A public key is not a seed.
  CHECK(!nkey_public_key(pairs[0].key));
}
