#include "server/engine/job_tree.h"

#include "server/engine/job.h"

namespace predictd {
namespace {

int64_t RowsOf(const Job* tree) {
  return tree == nullptr ? 0 : tree->queued.links.rows;
}

bool Before(const Job& a, const Job& b) {
  return a.queued.order < b.queued.order;
}

void SumRows(Job& top) {
  JobTree::Links& links = top.queued.links;
  links.rows = RowsOf(links.left) + top.request.rows + RowsOf(links.right);
}

// SplitMix64: neighbours get unrelated weights.
uint64_t Scramble(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// Takes the tree apart into those before `at` and the others.
void Split(Job* tree, const Job& at, Job*& before, Job*& after) {
  if (tree == nullptr) {
    before = after = nullptr;
    return;
  }
  JobTree::Links& links = tree->queued.links;
  if (Before(*tree, at)) {
    Split(links.right, at, links.right, after);
    before = tree;
  } else {
    Split(links.left, at, before, links.left);
    after = tree;
  }
  SumRows(*tree);
}

// Everything in `before` stands before everything in `after`.
Job* Join(Job* before, Job* after) {
  if (before == nullptr) return after;
  if (after == nullptr) return before;
  if (before->queued.links.weight > after->queued.links.weight) {
    before->queued.links.right = Join(before->queued.links.right, after);
    SumRows(*before);
    return before;
  }
  after->queued.links.left = Join(before, after->queued.links.left);
  SumRows(*after);
  return after;
}

void InsertInto(Job*& tree, Job& job) {
  JobTree::Links& links = job.queued.links;
  if (tree == nullptr || links.weight > tree->queued.links.weight) {
    Split(tree, job, links.left, links.right);
    tree = &job;
  } else {
    InsertInto(Before(job, *tree) ? tree->queued.links.left : tree->queued.links.right, job);
  }
  SumRows(*tree);
}

void EraseFrom(Job*& tree, Job& job) {
  if (tree == &job) {
    tree = Join(job.queued.links.left, job.queued.links.right);
    return;
  }
  EraseFrom(Before(job, *tree) ? tree->queued.links.left : tree->queued.links.right, job);
  SumRows(*tree);
}

}  // namespace

int64_t JobTree::rows() const {
  return RowsOf(root_);
}

Job* JobTree::first() const {
  Job* job = root_;
  while (job != nullptr && job->queued.links.left != nullptr) job = job->queued.links.left;
  return job;
}

int64_t JobTree::RowsBefore(const JobOrder& order) const {
  int64_t rows = 0;
  const Job* job = root_;
  while (job != nullptr) {
    const Links& links = job->queued.links;
    if (job->queued.order < order) {
      rows += RowsOf(links.left) + job->request.rows;
      job = links.right;
    } else {
      job = links.left;
    }
  }
  return rows;
}

void JobTree::Insert(Job& job) {
  job.queued.links = {.weight = Scramble(job.queued.order.sequence)};
  InsertInto(root_, job);
  ++size_;
}

void JobTree::Erase(Job& job) {
  EraseFrom(root_, job);
  --size_;
}

}  // namespace predictd
