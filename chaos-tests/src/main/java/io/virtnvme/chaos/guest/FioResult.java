package io.virtnvme.chaos.guest;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;

/**
 * What a fio run ended with.
 *
 * @param exitStatus of fio itself
 * @param errors number of failed requests and mismatching blocks that fio reports, at least 1 when
 *     it failed for any reason
 * @param readIos completed reads, those of the verify phase included
 * @param readBytes bytes read
 * @param writeIos completed writes
 * @param writeBytes bytes written
 * @param perSecond completed requests per second of the time in which fio had reads or writes to do
 * @param latencyMax the longest request, submission to completion
 * @param messages what fio said beside its report, for example which block does not verify
 */
public record FioResult(
    int exitStatus,
    long errors,
    long readIos,
    long readBytes,
    long writeIos,
    long writeBytes,
    double perSecond,
    Duration latencyMax,
    String messages) {
  /** Stands alone on a line between what fio says while it runs and its report. */
  static final String REPORT_MARK = "##REPORT";

  /** Reads the output of {@link FioJob#command()}. */
  static FioResult parse(final CommandResult command) {
    final String output = command.output();
    final int mark = output.indexOf(REPORT_MARK + "\n");
    final String messages = (mark < 0 ? output : output.substring(0, mark)).strip();
    if (mark < 0) {
      return failed(command.exitStatus(), messages);
    }
    final String report = output.substring(mark + REPORT_MARK.length());
    final int start = report.indexOf('{');
    if (start < 0) {
      return failed(command.exitStatus(), messages + report);
    }
    try {
      return of(command.exitStatus(), Qmp.parse(report.substring(start)), messages);
    } catch (final JsonProcessingException e) {
      return failed(
          command.exitStatus(), messages + "\nreport is not JSON: " + e.getOriginalMessage());
    }
  }

  private static FioResult of(final int exitStatus, final JsonNode report, final String messages) {
    long errors = 0;
    long readIos = 0;
    long readBytes = 0;
    long writeIos = 0;
    long writeBytes = 0;
    double perSecond = 0;
    long latencyMaxNs = 0;
    for (final JsonNode job : report.path("jobs")) {
      // "error" is the first errno; "total_err" counts, but only when fio was told to go on after
      // an error.
      errors += Math.max(job.path("total_err").asLong(), job.path("error").asInt() == 0 ? 0 : 1);
      readIos += job.path("read").path("total_ios").asLong();
      readBytes += job.path("read").path("io_bytes").asLong();
      writeIos += job.path("write").path("total_ios").asLong();
      writeBytes += job.path("write").path("io_bytes").asLong();
      perSecond +=
          job.path("read").path("iops").asDouble() + job.path("write").path("iops").asDouble();
      for (final String direction : new String[] {"read", "write", "trim"}) {
        latencyMaxNs =
            Math.max(latencyMaxNs, job.path(direction).path("lat_ns").path("max").asLong());
      }
    }
    final boolean failedOtherwise =
        errors == 0 && (exitStatus != 0 || report.path("jobs").isEmpty());
    return new FioResult(
        exitStatus,
        failedOtherwise ? 1 : errors,
        readIos,
        readBytes,
        writeIos,
        writeBytes,
        perSecond,
        Duration.ofNanos(latencyMaxNs),
        messages);
  }

  private static FioResult failed(final int exitStatus, final String messages) {
    return new FioResult(exitStatus, 1, 0, 0, 0, 0, 0, Duration.ZERO, messages);
  }
}
