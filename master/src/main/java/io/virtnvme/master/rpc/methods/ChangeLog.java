package io.virtnvme.master.rpc.methods;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.concurrent.CompletionStage;

/** Where changes are written down; the registry in production. */
@FunctionalInterface
public interface ChangeLog {
  /**
   * Records a call that has changed what should exist. Called on the thread that completed the
   * change, in the order of the changes; must not block.
   *
   * @return completes when the record will survive
   */
  CompletionStage<Void> append(String method, ObjectNode params);
}
