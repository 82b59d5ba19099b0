"""What is refused although it could be pickled, because it would come back as a dead handle."""

from __future__ import annotations

_PROCESS = "a process stays on the machine where it was started"
_SOCKET = "an open connection cannot be moved"
_THREAD = "what runs in a thread cannot be moved"
_POOL = "its threads or processes stay where they were started"
_LOOP = "what an event loop is running cannot be moved"
_FILE = "an open file of this library cannot be moved; close it and open it again"
_CLIENT = "its connection to a server cannot be moved; connect again"
_WIDGET = "its other half lives in the page; run its cell again"
_DEVICE = "a handle of a device is valid on its own machine only"
_FRAME = "code that stopped in the middle of a run cannot be moved"
_TEMPORARY = "what is temporary is deleted with the kernel that made it"

# "module.Class" -> reason; also for what is derived from it.
REFUSED: dict[str, str] = {
    "subprocess.Popen": _PROCESS,
    "asyncio.subprocess.Process": _PROCESS,
    "multiprocessing.process.BaseProcess": _PROCESS,
    "psutil.Process": _PROCESS,
    "psutil.Popen": _PROCESS,
    "_socket.socket": _SOCKET,
    "socketserver.BaseServer": _SOCKET,
    "http.client.HTTPConnection": _SOCKET,
    "http.client.HTTPResponse": _SOCKET,
    "ftplib.FTP": _SOCKET,
    "smtplib.SMTP": _SOCKET,
    "select.epoll": _SOCKET,
    "selectors.BaseSelector": _SOCKET,
    "zmq.sugar.socket.Socket": _SOCKET,
    "zmq.sugar.context.Context": _SOCKET,
    "urllib3.connectionpool.ConnectionPool": _SOCKET,
    "aiohttp.client.ClientSession": _SOCKET,
    "httpx.Client": _SOCKET,
    "httpx.AsyncClient": _SOCKET,
    "paramiko.client.SSHClient": _SOCKET,
    "threading.Thread": _THREAD,
    "threading._MainThread": _THREAD,
    "multiprocessing.pool.Pool": _POOL,
    "multiprocessing.managers.BaseManager": _POOL,
    "multiprocessing.shared_memory.SharedMemory": _DEVICE,
    "concurrent.futures._base.Executor": _POOL,
    "joblib.parallel.Parallel": _POOL,
    "asyncio.events.AbstractEventLoop": _LOOP,
    "_asyncio.Future": _LOOP,
    "asyncio.futures.Future": _LOOP,
    "_asyncio.Task": _LOOP,
    "asyncio.tasks.Task": _LOOP,
    "tornado.ioloop.IOLoop": _LOOP,
    "builtins.generator": _FRAME,
    "builtins.coroutine": _FRAME,
    "builtins.async_generator": _FRAME,
    "builtins.frame": _FRAME,
    "builtins.traceback": _FRAME,
    "sqlite3.Cursor": "a query that stopped in the middle cannot be moved",
    "sqlite3.Blob": _FILE,
    "zipfile.ZipFile": _FILE,
    "tarfile.TarFile": _FILE,
    "h5py._hl.base.HLObject": _FILE,
    "h5py.h5f.FileID": _FILE,
    "netCDF4._netCDF4.Dataset": _FILE,
    "pandas.io.pytables.HDFStore": _FILE,
    "pandas.io.excel._base.ExcelWriter": _FILE,
    "pandas.io.excel._base.ExcelFile": _FILE,
    "pandas.io.parsers.readers.TextFileReader": _FILE,
    "pyarrow.lib.NativeFile": _FILE,
    "dbm.dumb._Database": _FILE,
    "shelve.Shelf": _FILE,
    "sqlalchemy.engine.base.Engine": _CLIENT,
    "sqlalchemy.engine.base.Connection": _CLIENT,
    "sqlalchemy.orm.session.Session": _CLIENT,
    "psycopg2.extensions.connection": _CLIENT,
    "psycopg.Connection": _CLIENT,
    "pymongo.mongo_client.MongoClient": _CLIENT,
    "redis.client.Redis": _CLIENT,
    "distributed.client.Client": _CLIENT,
    "pyspark.sql.session.SparkSession": _CLIENT,
    "pyspark.context.SparkContext": _CLIENT,
    "duckdb.DuckDBPyConnection": _CLIENT,
    "_duckdb.DuckDBPyConnection": _CLIENT,
    "duckdb.duckdb.DuckDBPyConnection": _CLIENT,
    "ipywidgets.widgets.widget.Widget": _WIDGET,
    "comm.base_comm.BaseComm": _WIDGET,
    "ipykernel.comm.comm.Comm": _WIDGET,
    "torch.cuda.streams.Stream": _DEVICE,
    "torch.cuda.streams.Event": _DEVICE,
    "torch.utils.data.dataloader._BaseDataLoaderIter": _POOL,
    "ctypes.CDLL": _DEVICE,
    "_ctypes._Pointer": _DEVICE,
    "_ctypes.CFuncPtr": _DEVICE,
    "tempfile.TemporaryDirectory": _TEMPORARY,
    "tempfile._TemporaryFileWrapper": _TEMPORARY,
    "weakref.finalize": "what is to be done at the end of this process stays with it",
}
