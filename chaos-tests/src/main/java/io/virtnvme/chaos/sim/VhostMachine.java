package io.virtnvme.chaos.sim;

import java.util.SplittableRandom;

/** A guest with a vhost-user disk. */
final class VhostMachine implements Machine {
  private final Oracle oracle;
  private final SimGuest guest;
  private final SimFrontEnd frontEnd;

  VhostMachine(final World world, final SplittableRandom guestRandom) {
    oracle = new Oracle(world.disk(), world.plan().queueCount());
    guest = new SimGuest(world, oracle, guestRandom);
    frontEnd = new SimFrontEnd(world, guest);
  }

  @Override
  public void stepGuest() {
    guest.step();
  }

  @Override
  public void stepFrontEnd() {
    frontEnd.step();
  }

  @Override
  public void want(final Fault.Kind kind) {
    frontEnd.want(kind);
  }

  @Override
  public void hangUp() {
    frontEnd.hangUp();
  }

  @Override
  public void calm() {
    guest.calm();
  }

  @Override
  public boolean isDone() {
    return guest.isDone() && frontEnd.isSettled();
  }

  @Override
  public void onSubmit(
      final int slave, final int operation, final long offsetBytes, final long lengthBytes) {
    oracle.onSubmit(slave, operation, offsetBytes, lengthBytes);
  }

  @Override
  public void onIoError(final int operation, final long offsetBytes, final long lengthBytes) {
    throw new IllegalStateException("no errors are planned: operation=" + operation);
  }

  @Override
  public long postedCount() {
    return oracle.postedCount();
  }

  @Override
  public long completedCount() {
    return oracle.completedCount();
  }

  @Override
  public void checkEnd() {
    oracle.checkEnd();
    frontEnd.checkEnd();
  }

  @Override
  public String outstanding() {
    return "front-end settled=" + frontEnd.isSettled();
  }

  @Override
  public void close() {
    frontEnd.close();
    guest.close();
  }
}
