package io.virtnvme.tools.bench;

/**
 * What one run brought.
 *
 * @param error why there is no result; null when there is one
 * @param cpu processor time of the back-end per time, 1 = one core
 * @param clientCpu the same of the client's polling thread
 * @param oneWayNs core-to-core time just before the run; 0 if not measured
 * @param hugePages whether the guest's memory was on huge pages
 */
record RunResult(
    String error,
    double iops,
    double meanUs,
    double p50Us,
    double p99Us,
    double p999Us,
    double maxUs,
    double cpu,
    double clientCpu,
    double oneWayNs,
    boolean hugePages) {
  static RunResult failed(final String error) {
    return new RunResult(error, 0, 0, 0, 0, 0, 0, 0, 0, 0, false);
  }
}
