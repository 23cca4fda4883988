package io.virtnvme.master.rpc;

import io.virtnvme.ipc.relay.FormatVersions;
import java.util.List;
import java.util.concurrent.CompletionStage;

/** Lets another build take the place of the running master. */
@FunctionalInterface
public interface MasterReplacer {
  /**
   * Begins; the master hangs up soon after.
   *
   * @param command starts any command of the other build
   * @param formats of the other build
   * @param limitNs it must answer by then
   * @return completes when it begins; fails with ENOTSUP when a format does not fit or this process
   *     cannot be replaced, with EBUSY while slaves are being upgraded
   */
  CompletionStage<Void> replace(List<String> command, FormatVersions formats, long limitNs);
}
