package io.virtnvme.slave.session;

/** Gets the one answer to a message; called on the control thread. */
@FunctionalInterface
public interface AnswerSink {
  /** Sends the answer on; its arrays and descriptors are the session's again when this returns. */
  void onAnswer(Answer answer);
}
