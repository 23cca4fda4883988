/**
 * The front-ends' sockets and what travels over them: the event loop, listeners, sessions, and the
 * settling of one message after the other. Everything here belongs to the conductor thread; only
 * {@link io.virtnvme.master.relay.EventLoop#execute} may be called from others.
 *
 * <p>The master knows a message's length and its descriptors, and never looks at its payload.
 */
package io.virtnvme.master.relay;
