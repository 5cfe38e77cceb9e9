#ifndef PREDICTD_SERVER_SERVING_TRAFFIC_JUDGE_H_
#define PREDICTD_SERVER_SERVING_TRAFFIC_JUDGE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "server/async/clock.h"
#include "server/serving/catalog.h"

namespace predictd {

// Applies the rollback rules of traffic splits. It compares what two versions did since it last had enough requests of
// both to compare them, so that a version that turns bad late is found as soon as one that is bad from the beginning.
// Used by one thread.
class TrafficJudge {
 public:
  struct Verdict {
    // The model whose stable version is to get everything.
    std::shared_ptr<const ServedModel> model;
    // What another version does worse, for the log.
    std::string why;
  };

  // To be called now and then.
  std::vector<Verdict> Judge(const CatalogSnapshot& models);

  // Whether any model had a rule when Judge was last called.
  bool busy() const { return !watched_.empty(); }

 private:
  // What a version has done since it was loaded.
  struct Counts {
    int64_t answered = 0;
    int64_t broken = 0;
    Duration time{};
  };
  using CountsByVersion =
      std::map<std::weak_ptr<const ServedVersion>, Counts, std::owner_less<std::weak_ptr<const ServedVersion>>>;
  struct Watched {
    // The split that the counts are about.
    std::weak_ptr<const TrafficRouter> router;
    // Those of the beginning of what is compared. A version that is not there was loaded later.
    CountsByVersion begin;
  };

  static Counts CountsOf(const ServedVersion& version);
  // What is worse about `other`; empty if there is nothing. Clears `enough` if there were not enough requests to tell.
  static std::string Compare(const RollbackRule& rule, const ServedVersion& stable, const Counts& stable_did,
                             const ServedVersion& other, const Counts& other_did, bool& enough);

  std::map<std::string, Watched> watched_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVING_TRAFFIC_JUDGE_H_
