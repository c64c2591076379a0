"""A TCP proxy that loses the first answer to a command: what the server had done by then is done, and the
asker does not know. It calls `on_answer` (which kills the server) instead of passing the answer on."""
import socket
import threading

SP_HELLO = 8  # each side of an SP connection begins with 8 bytes of its own


class CrashingProxy:
    def __init__(self, port, target, on_answer):
        self.port, self.target, self.on_answer = port, target, on_answer
        self.armed = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            server = socket.create_connection(("127.0.0.1", self.target), timeout=5)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        threading.Thread(target=self._copy, args=(client, server, False), daemon=True).start()
        self._copy(server, client, True)

    def _copy(self, source, sink, answers):
        passed = 0
        try:
            while data := source.recv(65536):
                passed += len(data)
                if answers and passed > SP_HELLO and self.armed.is_set():
                    self.armed.clear()
                    self.on_answer()
                    break
                sink.sendall(data)
        except OSError:
            pass
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    def close(self):
        self.listener.close()
