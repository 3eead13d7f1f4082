"""Counts from OpenSearch, as the replicas of a gateway show them."""

import unittest

from support import E2eTest, eventually


class OpenSearchHangs(E2eTest):
    def test_counts_stay_and_every_replica_says_why(self):
        broker = self.broker()
        # Counts every workload as often as it was asked.
        opensearch = self.opensearch("--stamp", "3x10")
        self.replicas = [
            self.gateway("--log-source", "opensearch", "--opensearch-url",
                         opensearch.url, "--aggregation-lease", "1s",
                         nats=broker.url, state=f"state-{number}")
            for number in range(2)]
        self.wait_for_all(lambda x: x["clusters"] and not x["stale"],
                          "counts in all replicas")
        opensearch.suspend()
        self.wait_for_all(lambda x: x["stale"], "stale counts")
        before = self.overviews()
        for overview in before:
            self.assertEqual(len(overview["clusters"]), 3)
            self.assertIn(opensearch.url, overview["reason"])
            self.assertIsNotNone(overview["ageSeconds"])
        cluster = before[0]["clusters"][0]["id"]
        for replica in self.replicas:
            self.assertEqual(len(replica.counts(cluster)), 10)
        opensearch.resume()
        latest = max(x["clusters"][0]["logCount"] for x in before)
        self.wait_for_all(
            lambda x: not x["stale"] and not x["reason"]
            and x["clusters"][0]["logCount"] > latest, "newer counts")

    def overviews(self):
        return [x.get("/api/v1/clusters").json for x in self.replicas]

    def wait_for_all(self, check, what):
        eventually(lambda: all(check(x) for x in self.overviews()), what)


if __name__ == "__main__":
    unittest.main()
